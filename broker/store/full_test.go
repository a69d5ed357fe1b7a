package store

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// A disk that is full fails what does not fit; what was acknowledged before stays, and the store goes on when there is room again.
func TestAFullDiskLosesNothingAndEnds(t *testing.T) {
	s, err := OpenSQLite(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // the test is over
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	put := func(name string, size int) error {
		return s.Update(t.Context(), func(tx *Tx) error { return tx.PutSecret(name, make([]byte, size), time.Unix(1, 0)) })
	}
	if err := put("before", 100); err != nil {
		t.Fatal(err)
	}
	// The engine's own limit stands for the disk's: it fails the same way, where a page is to be added.
	limit := func(pages int) {
		s.turn <- struct{}{}
		defer func() { <-s.turn }()
		if err := s.connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := s.conn.ExecContext(context.Background(), fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
			t.Fatal(err)
		}
	}
	limit(1) // the smallest that SQLite takes is what there is
	kept := map[string]bool{"before": true}
	var mu sync.Mutex // guards kept
	var all sync.WaitGroup
	failed := 0
	for i := range 40 {
		all.Go(func() {
			name, size := fmt.Sprint(i), 10
			if i%2 == 0 {
				size = 100_000
			}
			err := put(name, size)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed++
				return
			}
			kept[name] = true
		})
	}
	all.Wait()
	if failed == 0 {
		t.Error("nothing failed: the test shows nothing")
	}
	limit(1) // a fault takes a new connection, which has no limit
	if err := put("too large", 100_000); err == nil {
		t.Error("it fitted: the test shows nothing")
	}
	if all := strings.Join(s.Conditions(t.Context()), "\n"); !strings.Contains(all, "full") {
		t.Errorf("while it is full, got conditions %q", all)
	}
	limit(1 << 30)
	if err := put("after", 100_000); err != nil {
		t.Errorf("with room again: %v", err)
	}
	if all := s.Conditions(t.Context()); len(all) > 0 {
		t.Errorf("with room again, got conditions %q", all)
	}
	kept["after"] = true
	err = s.View(t.Context(), func(tx *Tx) error {
		for name := range kept {
			if _, err := tx.Secret(name); err != nil {
				t.Errorf("it was acknowledged: %v", err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// A connection that broke is replaced.
func TestABrokenConnectionIsReplaced(t *testing.T) {
	s, err := OpenSQLite(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // the test is over
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	count := func() (n uint64, err error) {
		err = s.Update(t.Context(), func(tx *Tx) (err error) {
			n, err = tx.Next("n", 1)
			return err
		})
		return n, err
	}
	if _, err := count(); err != nil {
		t.Fatal(err)
	}
	// An update that ends the group's transaction behind the group's back makes the commit fail.
	err = s.Update(t.Context(), func(tx *Tx) error {
		if _, err := tx.Next("n", 1); err != nil {
			return err
		}
		_, err := s.conn.ExecContext(t.Context(), "ROLLBACK")
		return err
	})
	if err == nil {
		t.Error("it was acknowledged")
	}
	if n, err := count(); n != 2 || err != nil {
		t.Errorf("the next one counted %d, %v, want 2", n, err)
	}
}
