// Package storetest says what any engine of broker/store has to do, as one suite of tests.
//
// The tests of package store run it on each engine. It works on whole stores through their exported methods, so that a second
// engine needs no second suite. It tests what the broker relies on: what Update and View promise, what is unique, what is counted without a gap,
// and what is found again. It knows nothing of SQL.
package storetest

import (
	"testing"
	"time"

	"tapline/broker/store"
)

// Engine is an engine under test.
type Engine struct {
	// Open opens the store in a folder, making it if it is not there. It is called again for the same folder after a store was closed.
	Open func(dir string) (*store.Store, error)
	// Ready, if it is set, opens a store in a folder that is made with its schema, where making that takes long.
	Ready func(dir string) (*store.Store, error)
}

// Run runs the whole suite.
func Run(t *testing.T, e Engine) {
	t.Run("migrate", func(t *testing.T) { e.migrate(t) })
	t.Run("update", func(t *testing.T) { e.update(t) })
	t.Run("directory", func(t *testing.T) { e.directory(t) })
	t.Run("zones", func(t *testing.T) { e.zones(t) })
	t.Run("bundles", func(t *testing.T) { e.bundles(t) })
	t.Run("identities", func(t *testing.T) { e.identities(t) })
	t.Run("standing", func(t *testing.T) { e.standing(t) })
	t.Run("secrets", func(t *testing.T) { e.secrets(t) })
	t.Run("officers", func(t *testing.T) { e.officers(t) })
	t.Run("taps", func(t *testing.T) { e.taps(t) })
	t.Run("records", func(t *testing.T) { e.records(t) })
	t.Run("sessions", func(t *testing.T) { e.sessions(t) })
	t.Run("emergencies", func(t *testing.T) { e.emergencies(t) })
	t.Run("alarms", func(t *testing.T) { e.alarms(t) })
	t.Run("lead", func(t *testing.T) { e.lead(t) })
	t.Run("log", func(t *testing.T) { e.log(t) })
	t.Run("syncs", func(t *testing.T) { e.syncs(t) })
}

// begin is when the stories of the suite begin.
func begin() time.Time { return time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC) }

// fresh is a store that has its schema and nothing else.
func (e Engine) fresh(t *testing.T) *store.Store {
	t.Helper()
	if e.Ready != nil {
		e.Open = e.Ready
	}
	return e.open(t, t.TempDir())
}

// open opens a folder's store and brings its schema up.
func (e Engine) open(t *testing.T, dir string) *store.Store {
	t.Helper()
	s, err := e.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// do is an update that must succeed. The work returns its error: a failing test must not leave the store in the middle of a transaction.
func do(t *testing.T, s *store.Store, work func(*store.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), work); err != nil {
		t.Fatal(err)
	}
}
