package logons

import (
	"context"
	"errors"
	"fmt"
)

// Run watches until ctx ends.
func Run(ctx context.Context, cfg Config) error {
	followSessions(ctx, cfg, terminalServices{})
	return nil
}

// Sources says what tells of logons on this machine; an error when nothing does.
func Sources(context.Context) (string, error) {
	all, err := terminalServices{}.all()
	if err != nil {
		return "", fmt.Errorf("list the sessions of Windows: %w", err)
	}
	if len(all) == 0 { // there is always that of the services; wine lists none
		return "", errors.New("list the sessions of Windows: there are none")
	}
	return "the sessions of Windows (WTS)", nil
}
