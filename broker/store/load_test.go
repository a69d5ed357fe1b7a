package store_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tapline/broker/store"
	"tapline/broker/store/postgrestest"
)

// nothing is a dump without tables.
type nothing struct{}

func (nothing) Next() (*store.Table, []any, bool, error) { return nil, nil, false, nil }

// TestAStandbyThatOnlyHasToWriteIsACondition sets the synchronous_commit under which a standby acknowledges before its disk has it.
func TestAStandbyThatOnlyHasToWriteIsACondition(t *testing.T) {
	server := postgrestest.Start(t)
	url := server.NewDatabase(t)
	for _, row := range []struct {
		standbys, commit string
		want             bool
	}{{"other", "remote_write", true}, {"other", "on", false}} {
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := server.Restart(t.Context(), "synchronous_standby_names="+row.standbys, "synchronous_commit="+row.commit); err != nil {
			t.Fatal(err)
		}
		s, err := store.OpenPostgres(t.Context(), store.Postgres{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		all := strings.Join(s.Conditions(t.Context()), "\n")
		if got := strings.Contains(all, "set synchronous_commit = on"); got != row.want {
			t.Errorf("%+v: conditions %q", row, all)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestALoadKeepsOutOfTheWayOfBrokersThatRun loads beside a broker that has written, beside one that was killed, and after one that stopped.
func TestALoadKeepsOutOfTheWayOfBrokersThatRun(t *testing.T) {
	server := postgrestest.Start(t)
	url := server.NewDatabase(t)
	open := func() *store.Store {
		t.Helper()
		s, err := store.OpenPostgres(t.Context(), store.Postgres{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	running, other := open(), open()
	if err := running.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	write := func(s *store.Store) {
		t.Helper()
		if err := s.Update(t.Context(), func(tx *store.Tx) error { return tx.Changed() }); err != nil {
			t.Fatal(err)
		}
	}
	generation := func() (n uint64) {
		t.Helper()
		err := other.View(t.Context(), func(tx *store.Tx) (err error) { n, err = tx.Generation(); return err })
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	schema, err := other.Schema(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	direct, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close(t.Context()) //nolint:errcheck // it only looked
	turnHeld := errors.New("nobody looked")
	load := func() error {
		return other.Load(t.Context(), nothing{}, store.LoadOptions{Schema: schema.Want, Force: true, Check: func(*store.Tx) error {
			_, turnHeld = direct.Exec(t.Context(), `SELECT one FROM writer FOR UPDATE NOWAIT`)
			return nil
		}})
	}

	write(running)
	write(other) // its own mark is nobody else's
	before := generation()
	alone := func() error { return other.Update(t.Context(), func(tx *store.Tx) error { return tx.Alone() }) }
	if err := alone(); !errors.Is(err, store.ErrInUse) {
		t.Errorf("an update that must be alone, beside a broker that wrote just now: %v, want %v", err, store.ErrInUse)
	}
	if err := load(); !errors.Is(err, store.ErrInUse) {
		t.Errorf("beside a broker that wrote just now: %v, want %v", err, store.ErrInUse)
	}
	if n := generation(); n != before {
		t.Errorf("what was refused changed the store: generation %d, was %d", n, before)
	}
	if _, err := direct.Exec(t.Context(), `UPDATE commits SET at = at - $1`, (11 * time.Second).Microseconds()); err != nil {
		t.Fatal(err)
	}
	if err := alone(); err != nil {
		t.Errorf("an update that must be alone, eleven seconds after the last one wrote: %v", err)
	}
	if err := load(); err != nil {
		t.Errorf("eleven seconds after the last one wrote: %v", err)
	}
	var said *pgconn.PgError
	if !errors.As(turnHeld, &said) || said.Code != "55P03" {
		t.Errorf("another writer's turn in the middle of a load: %v, want that the lock is held", turnHeld)
	}
	write(running)
	if err := running.Close(); err != nil {
		t.Fatal(err)
	}
	if err := load(); err != nil {
		t.Errorf("after the broker was stopped: %v", err)
	}
}
