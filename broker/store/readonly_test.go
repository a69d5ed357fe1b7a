package store

import (
	"testing"
)

// TestAStoreThatTurnedReadOnlySaysSo takes the right to write from the writer's connection, and gives it back.
func TestAStoreThatTurnedReadOnlySaysSo(t *testing.T) {
	s, err := OpenSQLite(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx := t.Context()
	if err := s.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.Probe(ctx); err != nil {
		t.Fatal(err)
	}
	set := func(pragma string) {
		t.Helper()
		s.turn <- struct{}{}
		defer func() { <-s.turn }()
		if err := s.connect(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := s.conn.ExecContext(ctx, pragma); err != nil {
			t.Fatal(err)
		}
	}
	set("PRAGMA query_only = 1")
	if err := s.Probe(ctx); err == nil {
		t.Fatal("it was written: the test shows nothing")
	}
	if s.Unwritten() == nil {
		t.Error("nobody is told that the store takes no writes")
	}
	set("PRAGMA query_only = 0")
	if err := s.Probe(ctx); err != nil || s.Unwritten() != nil {
		t.Errorf("once it can be written again: %v, %v", err, s.Unwritten())
	}
}
