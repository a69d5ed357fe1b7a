package logons

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// Run watches until ctx ends. A source that is not to be had is tried for again and again.
func Run(ctx context.Context, cfg Config) error {
	var group errgroup.Group
	group.Go(func() error { watchLogind(ctx, cfg); return nil })
	group.Go(func() error { watchUtmp(ctx, cfg); return nil })
	return group.Wait()
}

// lastPause is the longest pause between two attempts to reach the bus.
const lastPause = 10 * time.Second

// watchLogind listens to logind until ctx ends, on one connection after the other.
func watchLogind(ctx context.Context, cfg Config) {
	w := newWatcher(cfg)
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 200*time.Millisecond, lastPause
	for told := false; ctx.Err() == nil; {
		err := w.listen(ctx, func() { pause.Reset(); told = false })
		if ctx.Err() != nil {
			return
		}
		if !told {
			cfg.Log.Warn("logind does not answer: logons are seen by the login records alone", zap.Error(err))
			told = true
		}
		timer := time.NewTimer(pause.NextBackOff())
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
	}
}

var errBusClosed = errors.New("the bus closed the connection")

// Sources says what tells of logons on this machine; an error when nothing does.
func Sources(ctx context.Context) (string, error) {
	w := newWatcher(Config{})
	var list []string
	conn, err := w.connect(ctx)
	if err == nil {
		defer conn.Close()
		_, err = listRows(ctx, conn)
	}
	if err == nil {
		list = append(list, "logind")
	}
	if _, bad := os.Stat(utmpPath); bad == nil {
		list = append(list, utmpPath)
	}
	if len(list) == 0 {
		return "", errors.Join(err, errors.New("no "+utmpPath+" either"))
	}
	return strings.Join(list, " and "), nil
}
