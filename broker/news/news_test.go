package news_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/news"
	"tapline/broker/store"
	"tapline/broker/switchboard"
)

const press = "plant/press/line-4/hmi-1"

func begin() time.Time { return time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC) }

func open(t *testing.T, dir string) *store.Store {
	t.Helper()
	s, err := store.OpenSQLite(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func do(t *testing.T, s *store.Store, work func(*store.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), work); err != nil {
		t.Fatal(err)
	}
}

func lease(id string) store.Lease {
	return store.Lease{
		ID: id, Scope: "station " + press + id, Station: press, Person: "p-1", Fence: 1, OpenedAt: begin(), ExpiresAt: begin().Add(time.Hour),
	}
}

// TestABrokerTellsWhatAnotherOneChanged runs the feed of one broker while another one, with a store of its own on the same database, ends a
// lease and changes the directory.
func TestABrokerTellsWhatAnotherOneChanged(t *testing.T) {
	dir := t.TempDir()
	here, there := open(t, dir), open(t, dir)
	if err := here.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	before, during, own := lease("l-0"), lease("l-1"), lease("l-2")
	before.Session, during.Session, own.Session = "s-0", "s-1", "s-2"
	for _, l := range []store.Lease{before, during, own} {
		do(t, there, func(tx *store.Tx) error { return tx.AddLease(l) })
	}
	do(t, there, func(tx *store.Tx) error { return tx.EndLease("l-0", "revoked", begin()) })

	board := &switchboard.Board{}
	_, line, unplug := board.Plug(t.Context(), press)
	defer unplug()
	var announced atomic.Int32
	first := make(chan struct{}, 100)
	feed := news.New(here, board, func() { announced.Add(1); first <- struct{}{} }, zap.NewNop())
	ctx, stop := context.WithCancel(t.Context())
	var running errgroup.Group
	running.Go(func() error { return feed.Run(ctx) })
	defer func() {
		stop()
		if err := running.Wait(); err != nil {
			t.Error(err)
		}
	}()
	<-first // the first look

	do(t, there, func(tx *store.Tx) error { return tx.EndLease("l-2", "tap-out", begin()) })
	do(t, there, func(tx *store.Tx) error { return tx.EndLease("l-1", "revoked", begin()) })
	m := <-line.Out
	if e := m.GetEndSession(); e.GetSession() != "s-1" || e.GetCause() != taplinev1.EndCause_END_CAUSE_REVOKED {
		t.Errorf("told %v, want the end of s-1: what ended before the first look, or by the station, is not news", m)
	}
	do(t, there, func(tx *store.Tx) error { return tx.Changed() })
	<-first // announced again
	if n := announced.Load(); n != 2 {
		t.Errorf("announced %d times, want at the first look and after the change", n)
	}
}

func TestWhatIsToldOfAnEndedLease(t *testing.T) {
	for cause, want := range map[string]taplinev1.EndCause{
		"revoked": taplinev1.EndCause_END_CAUSE_REVOKED, "elsewhere": taplinev1.EndCause_END_CAUSE_ELSEWHERE, "visit-end": taplinev1.EndCause_END_CAUSE_VISIT_END,
		"tap-out": 0, "hand-over": 0, "superseded": 0, "expired": 0,
	} {
		l := lease("l-1")
		if m := news.EndOf(l); m != nil {
			t.Errorf("a lease in force is told as ended: %v", m)
		}
		l.EndedAt, l.Cause = begin(), cause
		if got := news.EndOf(l).GetEndSession().GetCause(); got != want {
			t.Errorf("%s: told %s, want %s", cause, got, want)
		}
	}
}
