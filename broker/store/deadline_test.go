//go:build unix

package store

import (
	"context"
	"errors"
	"testing"
	"time"

	"tapline/broker/store/postgrestest"
)

// A caller whose time is up is no fault of the server: the connection goes on, and so does whoever shares the commit.
func TestACallersDeadlineDoesNotCostTheConnection(t *testing.T) {
	s, err := OpenPostgres(t.Context(), Postgres{URL: postgrestest.Start(t).NewDatabase(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // the test is over
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), func(*Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	before := s.conn
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	runs := 0
	err = s.Update(ctx, func(*Tx) error {
		runs++
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, context.DeadlineExceeded) || runs != 1 {
		t.Errorf("%v after %d runs", err, runs)
	}
	if s.conn != before {
		t.Error("the connection was given up")
	}
}
