//go:build !linux && !windows

package logons

import (
	"context"
	"errors"
)

// Run waits for ctx: on this system nobody watches logons yet.
func Run(ctx context.Context, cfg Config) error {
	cfg.Log.Info("logons are not watched on this system")
	<-ctx.Done()
	return nil
}

// Sources says what tells of logons on this machine; an error when nothing does.
func Sources(context.Context) (string, error) {
	return "", errors.New("logons are not watched on this system")
}
