package store

import (
	"context"
	"time"
)

// tries spaces out tries of something that may come back: soon at first, then twice a second.
type tries struct {
	until time.Time
	pause time.Duration
}

func newTries(patience time.Duration) *tries {
	return &tries{until: time.Now().Add(patience), pause: 20 * time.Millisecond}
}

// wait waits until the next try is due. It is false when there shall be none.
func (t *tries) wait(ctx context.Context) bool {
	if time.Now().Add(t.pause).After(t.until) {
		return false
	}
	timer := time.NewTimer(t.pause)
	defer timer.Stop()
	t.pause = min(2*t.pause, 500*time.Millisecond)
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
