package logons

import (
	"context"
	"fmt"
)

// Run watches until ctx ends.
func Run(ctx context.Context, cfg Config) error {
	followSessions(ctx, cfg, terminalServices{})
	return nil
}

// Sources says what tells of logons on this machine; an error when nothing does.
func Sources(context.Context) (string, error) {
	if _, err := (terminalServices{}).all(); err != nil {
		return "", fmt.Errorf("list the sessions of Windows: %w", err)
	}
	return "the sessions of Windows (WTS)", nil
}
