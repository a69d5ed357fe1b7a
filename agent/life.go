package agent

import (
	"context"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"tapline/agent/alive"
	"tapline/agent/clock"
	"tapline/agent/session"
	"tapline/proto/record"
)

// markEvery is how often the station marks that it lives: what a kill leaves in doubt. A clock that was set is noticed as fast where the system does not tell.
const markEvery = 5 * time.Second

func alivePath(state string) string { return filepath.Join(state, "alive") }

// startOf is what the first record says of this run and of the one before.
func (a *Agent) startOf() record.Start {
	s := record.Start{Build: a.opts.Build, Stopped: a.found.Stopped, KeyStore: clip(a.keys.Where())}
	if !s.Stopped {
		s.Alive = alive.At(alivePath(a.cfg.StateDir)).Read()
	}
	return s
}

// live marks that the station lives, and notices a clock that was set, until ctx ends. A mark says that everything up to it is on the disk, so there is none
// while the journal waits for the disk, and none while the loop does not answer.
func (a *Agent) live(ctx context.Context) error {
	mark := alive.At(alivePath(a.cfg.StateDir))
	defer mark.Close()
	again := time.NewTicker(markEvery)
	defer again.Stop()
	for failed := false; ; {
		a.noteClock()
		if at := a.clock.Reading(); a.answers(ctx) && a.journal.Healthy() {
			err := mark.Write(at)
			if err != nil && !failed {
				a.log.Warn("the mark of life is not written: after a kill the time since the last record counts as agent down", zap.Error(err))
			}
			failed = err != nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-again.C:
		}
	}
}

// answers reports whether the loop deals with what happens.
func (a *Agent) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, markEvery/2)
	defer cancel()
	return a.loop.look(ctx, func(session.State) {}) == nil
}

func (a *Agent) noteClock() { a.journal.NoteClock(a.keeper.State().InForce) }

// watchClock notices at once that the clock was set, where the system tells.
func (a *Agent) watchClock(ctx context.Context) error {
	if err := clock.WhenSet(ctx, a.noteClock); err != nil {
		a.log.Warn("steps of the clock are noticed within seconds, not at once", zap.Error(err))
	}
	return nil
}
