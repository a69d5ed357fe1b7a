package store_test

import (
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/store"
	"tapline/broker/store/postgrestest"
	"tapline/proto/record"
)

func openLine(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.OpenPostgres(t.Context(), store.Postgres{URL: postgrestest.Start(t).NewDatabase(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// together runs updates that share one commit: they wait behind one that takes its time.
func together(t *testing.T, s *store.Store, updates ...func(*store.Tx) error) []error {
	t.Helper()
	errs := make([]error, len(updates))
	var wait sync.WaitGroup
	err := s.Update(t.Context(), func(*store.Tx) error {
		for i, u := range updates {
			wait.Go(func() { errs[i] = s.Update(t.Context(), u) })
		}
		for s.Waiting() < len(updates) {
			runtime.Gosched()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wait.Wait()
	return errs
}

// What was asked ahead is forgotten when it changes, and what waits to be written is there for whoever reads it.
func TestPostgresSeesItsOwnWritesOnTheLine(t *testing.T) {
	s, now := openLine(t), time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)
	const at, scope = record.StationID("plant/hmi"), "station plant/hmi"
	lease := func(id string) store.Lease {
		return store.Lease{ID: id, Scope: scope, Session: record.SessionID("s" + id), Station: at, Person: "p-1", OpenedAt: now, ExpiresAt: now.Add(time.Hour)}
	}
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		if err := tx.AheadOfTap("s1", at, []byte("lookup")); err != nil {
			return err
		}
		if err := tx.AheadOfDecision(store.Decided{Person: "p-1", Station: at, Scope: scope}); err != nil {
			return err
		}
		if _, err := tx.BadgeByLookup([]byte("lookup")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a badge before there is one: %v", err)
		}
		for i, id := range []string{"1", "2", "3"} {
			l, err := tx.TakeLease(lease(id))
			if err != nil {
				return err
			}
			here, err := tx.LeasesOfStation(at)
			if err != nil {
				return err
			}
			if l.Fence != record.Fence(i+1) || len(here) != 1 || here[0].ID != id || here[0].Fence != l.Fence {
				t.Errorf("lease %s: fence %d, and at the station are %v", id, l.Fence, here)
			}
			if err := tx.EndLease(id, "logout", now); err != nil {
				return err
			}
			if last, err := tx.LastFence(scope); err != nil || last != l.Fence {
				t.Errorf("the last fence is %d (%v), want %d", last, err, l.Fence)
			}
		}
		if _, err := tx.PutPerson(&taplinev1.PersonEntry{Id: "p-1", DisplayName: "Anna"}); err != nil {
			return err
		}
		if err := tx.AddBadge(store.Badge{ID: "b-1", Person: "p-1", Lookup: []byte("lookup"), Number: []byte("sealed"), AssignedAt: now}); err != nil {
			return err
		}
		if err := tx.AheadOfTap("s2", at, []byte("lookup")); err != nil {
			return err
		}
		if err := tx.RevokeBadge("b-1", "lost"); err != nil {
			return err
		}
		b, err := tx.BadgeByLookup([]byte("lookup"))
		if err == nil && !b.Revoked {
			t.Error("the badge that was revoked after it was asked for is good")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A write that waited and fails fails its update, and no other of its group; nor does one that sent nothing before it gave up.
func TestPostgresKeepsAFailureOnTheLineToItsUpdate(t *testing.T) {
	s, now := openLine(t), time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)
	answer := func(id record.SessionID) func(*store.Tx) error {
		return func(tx *store.Tx) error {
			return tx.AddAnswer(store.Answer{Session: id, Station: "plant/hmi", Request: []byte("r"), Reply: []byte("r"), At: now})
		}
	}
	givesUp := errors.New("gives up")
	errs := together(t, s,
		answer("one"), answer("one"), func(*store.Tx) error { return givesUp }, answer("two"), answer("nul \x00"), func(*store.Tx) error { return givesUp }, answer("three"))
	bad := 0
	for _, err := range errs {
		if err != nil {
			bad++
		}
	}
	if bad != 4 {
		t.Errorf("want four to fail: %v", errs)
	}
	err := s.View(t.Context(), func(tx *store.Tx) error {
		for _, id := range []record.SessionID{"one", "two", "three"} {
			if _, err := tx.Answer(id); err != nil {
				t.Error(err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
