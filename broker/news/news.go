// Package news tells the stations on the line of what changed in the store, whichever broker changed it.
//
// Several brokers may work on one store, and a station is on the line of one of them. So nobody who changes something tells stations directly:
// each broker looks at the store every second, and at once after a change of its own, and tells its stations that there is a newer grant bundle
// or that a session's lease was ended over their heads, and whoever watches records that there are new ones. What it tells is not durable: a station that was away asks for its bundle and is held
// against its lease when it comes back (package station).
//
// The package changes nothing and decides nothing.
package news

import (
	"context"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"go.uber.org/zap"

	"tapline/broker/session"
	"tapline/broker/store"
	"tapline/broker/switchboard"
)

// Every is how often the store is looked at.
const Every = time.Second

// batch is how many ends are read at once.
const batch = 500

// Feed is one broker's look at the store. Run it once.
type Feed struct {
	Store *store.Store
	Board *switchboard.Board
	// Announce has the stations on the line told of their new bundles, soon: it does not wait for that.
	Announce func()
	Log      *zap.Logger
	// Refresh, if it is set, reads again what this broker holds in memory and another one may have changed, before anybody is told.
	Refresh func(context.Context) error
	// Stored, if it is set, is called when the store has records that were not there at the last look.
	Stored func()

	wake       chan struct{}
	generation uint64 // announced
	end        uint64 // told
	cursor     uint64 // of the newest record seen
}

// New makes a feed.
func New(s *store.Store, b *switchboard.Board, announce func(), log *zap.Logger) *Feed {
	return &Feed{Store: s, Board: b, Announce: announce, Log: log, wake: make(chan struct{}, 1)}
}

// Changed makes the feed look at once.
func (f *Feed) Changed() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Run looks until ctx ends.
func (f *Feed) Run(ctx context.Context) error {
	tick := time.NewTicker(Every)
	defer tick.Stop()
	begun := false
	for {
		if err := f.look(ctx, &begun); err != nil && ctx.Err() == nil {
			f.Log.Error("stations could not be told of changes", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-f.wake:
		case <-tick.C:
		}
	}
}

// look tells what is new since the last look. The first look only takes note: whoever connects is told where they stand.
func (f *Feed) look(ctx context.Context, begun *bool) error {
	var generation, last, cursor uint64
	var ended []store.Ended
	err := f.Store.View(ctx, func(tx *store.Tx) (err error) {
		if generation, err = tx.Generation(); err != nil {
			return err
		}
		if cursor, err = tx.LastCursor(); err != nil {
			return err
		}
		if last, err = tx.LastEnd(); err != nil || !*begun || last == f.end {
			return err
		}
		ended, err = tx.EndsAfter(f.end, batch)
		return err
	})
	if err != nil {
		return err
	}
	if cursor != f.cursor && f.Stored != nil {
		f.Stored()
	}
	f.cursor = cursor
	for _, e := range ended {
		f.tell(e.Lease)
		f.end = e.Number
	}
	if len(ended) == batch {
		f.Changed() // there is more
	} else {
		f.end = max(f.end, last)
	}
	first := !*begun
	*begun = true
	if generation == f.generation && !first {
		return nil
	}
	if f.Refresh != nil {
		if err := f.Refresh(ctx); err != nil {
			return err
		}
	}
	f.Announce()
	f.generation = generation
	return nil
}

func (f *Feed) tell(l store.Lease) {
	if m := EndOf(l); m != nil && f.Board.Connected(l.Station) {
		f.Board.Tell(l.Station, m)
	}
}

// EndOf is the command that ends the session of a lease at its station; nil where there is nothing to tell: the lease goes on, or it
// ended because the station said so.
func EndOf(l store.Lease) *taplinev1.StreamCommandsResponse {
	if l.EndedAt.IsZero() {
		return nil
	}
	for _, c := range []taplinev1.EndCause{
		taplinev1.EndCause_END_CAUSE_REVOKED, taplinev1.EndCause_END_CAUSE_ELSEWHERE, taplinev1.EndCause_END_CAUSE_VISIT_END,
	} {
		if l.Cause == session.CauseWord(c) {
			return &taplinev1.StreamCommandsResponse{
				Command: l.ID, What: &taplinev1.StreamCommandsResponse_EndSession{EndSession: &taplinev1.EndSession{Session: string(l.Session), Cause: c}},
			}
		}
	}
	return nil
}
