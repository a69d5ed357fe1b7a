package agent

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"tapline/agent/journal"
	"tapline/agent/session"
)

// JournalConfig says when a journal that fills up is told of.
type JournalConfig struct {
	// WarnDays is for how many more days there must be room, as records come at present; 0 is never.
	WarnDays int `yaml:"warn_days"`
	// WarnFree is how many megabytes must be free; 0 is never.
	WarnFree int `yaml:"warn_free_mb"`
}

// roomEvery is how often the station looks how much room its journal has.
const roomEvery = 10 * time.Minute

// room knows how much room the journal has, as of the last look.
type room struct {
	mu  sync.Mutex // guards the fields below
	is  journal.Room
	low bool
}

func (r *room) last() (journal.Room, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.is, r.low
}

// look takes in how much there is, and reports whether that turned low or ceased to be. A journal that was low is well again with a tenth more than the least.
func (r *room) look(is journal.Room, want JournalConfig) (low, changed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.low
	least := 1.0
	if before {
		least = 1.1
	}
	few := want.WarnDays > 0 && is.Days < least*float64(want.WarnDays)
	little := want.WarnFree > 0 && float64(is.Free) < least*float64(int64(want.WarnFree)<<20)
	r.is, r.low = is, is.Free >= 0 && (few || little)
	return r.low, r.low != before
}

// watchRoom looks after the journal's room until ctx ends, and tells of it: on the panel, in the log, in the status.
func (a *Agent) watchRoom(ctx context.Context) error {
	again := time.NewTicker(roomEvery)
	defer again.Stop()
	for {
		is := a.journal.Room()
		if low, changed := a.room.look(is, a.settings().Journal); changed {
			notice := session.Notice{Kind: session.JournalChanged}
			if low {
				notice.Reason = session.JournalLow
				a.log.Named("journal").Warn("the journal's disk fills up", zap.Float64("days_left", is.Days), zap.Int64("free_bytes", is.Free), zap.Int64("bytes_a_day", is.PerDay))
			} else {
				a.log.Info("the journal's disk has room again", zap.Float64("days_left", is.Days), zap.Int64("free_bytes", is.Free))
			}
			a.tell(ctx, notice)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-again.C:
		}
	}
}

// tell shows a notice beside whoever is here. It goes through the loop, so that it comes in its place among what the station shows.
func (a *Agent) tell(ctx context.Context, n session.Notice) {
	_ = a.loop.post(ctx, input{notice: &n}) // a station that stops tells nobody
}
