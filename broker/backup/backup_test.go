package backup_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tapline/broker/backup"
	"tapline/broker/store"
	"tapline/broker/store/postgrestest"
	taplinev1 "tapline/proto/tapline/v1"
)

// filled is a store with something in it.
func filled(t *testing.T) *store.Store {
	t.Helper()
	s := fresh(t)
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		errs := []error{tx.PutSecret("k", []byte{0, 1, 0xff}, time.Unix(1, 0)), tx.PutSecret("empty", []byte{}, time.Unix(1, 0))}
		for i := range 3000 {
			_, err := tx.PutPerson(&taplinev1.PersonEntry{Id: fmt.Sprintf("p-%04d", i), DisplayName: "Jürgen \"<&> \u2028", Source: "local"})
			errs = append(errs, err)
		}
		_, err := tx.PutStation(&taplinev1.Station{Id: "plant/press/line-4/hmi-1"}) // columns that are NULL
		_, err2 := tx.Next("big", 1<<62)
		return errors.Join(append(errs, err, err2)...)
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fresh is a store whose schema nobody has made yet.
func fresh(t *testing.T) *store.Store {
	t.Helper()
	s := empty(t)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func empty(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.OpenSQLite(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// write writes a backup into a file.
func write(t *testing.T, s *store.Store) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := backup.Write(t.Context(), s, &b, backup.Options{Build: "test", Now: time.Unix(1, 0)}); err != nil {
		t.Fatal(err)
	}
	return file(t, b.Bytes())
}

func file(t *testing.T, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "backup.gz")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// rows is a dump as a sink that sorts and compares sees it.
type rows map[string]int

func (r rows) Begin(*store.Tx, int64) error { return nil }
func (r rows) Table(t store.Table) error    { r[fmt.Sprint(t.Name, t.Columns)]++; return nil }
func (r rows) Row(v []any) error            { r[fmt.Sprintf("%q %t", v, v[0] == nil)]++; return nil }

func rowsOf(t *testing.T, s *store.Store) rows {
	t.Helper()
	r := rows{}
	if err := s.Dump(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return r
}

// same fails unless both stores hold the same.
func same(t *testing.T, what string, got, want rows) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d different rows, want %d", what, len(got), len(want))
	}
	for row, n := range want {
		if got[row] != n {
			t.Errorf("%s: %d times, want %d: %s", what, got[row], n, row)
			return
		}
	}
}

func restore(t *testing.T, path string, to *store.Store, force bool) error {
	t.Helper()
	b, err := backup.Open(t.Context(), path)
	if err != nil {
		return err
	}
	return b.Restore(t.Context(), to, force, nil, nil)
}

func TestWhatWasBackedUpIsRestoredWhole(t *testing.T) {
	s := filled(t)
	path, want := write(t, s), rowsOf(t, s)
	to := empty(t)
	if err := restore(t, path, to, false); err != nil {
		t.Fatal(err)
	}
	same(t, "restored", rowsOf(t, to), want)
	if err := restore(t, path, to, false); !errors.Is(err, store.ErrNotEmpty) {
		t.Errorf("into a store that is full: %v", err)
	}
	if err := restore(t, path, to, true); err != nil {
		t.Errorf("with force: %v", err)
	}
	same(t, "restored by force", rowsOf(t, to), want)
	refused := errors.New("no")
	b, err := backup.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	other := fresh(t)
	if err := b.Restore(t.Context(), other, false, func(*store.Tx) error { return refused }, nil); !errors.Is(err, refused) {
		t.Errorf("a check that refuses: %v", err)
	}
	same(t, "after a refusal", rowsOf(t, other), rowsOf(t, fresh(t)))
}

func TestABrokerMovesToPostgresAndBack(t *testing.T) {
	server := postgrestest.Start(t)
	s := filled(t)
	pg, err := store.OpenPostgres(t.Context(), store.Postgres{URL: server.NewDatabase(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer pg.Close() //nolint:errcheck // the test is over
	if err := restore(t, write(t, s), pg, false); err != nil {
		t.Fatal(err)
	}
	back := empty(t)
	if err := restore(t, write(t, pg), back, false); err != nil {
		t.Fatal(err)
	}
	same(t, "there and back", rowsOf(t, back), rowsOf(t, s))
	// It is a store that works, and not only rows.
	err = pg.Update(t.Context(), func(tx *store.Tx) error {
		if n, err := tx.Next("big", 1); err != nil || n != 1<<62+1 {
			return fmt.Errorf("counted %d, %w", n, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestABackupThatWasCutOffOrChangedIsRefused(t *testing.T) {
	whole, err := os.ReadFile(write(t, filled(t)))
	if err != nil {
		t.Fatal(err)
	}
	to := fresh(t)
	before := rowsOf(t, to)
	for i := range 40 {
		n := len(whole) * i / 40
		if err := restore(t, file(t, whole[:n]), to, false); err == nil {
			t.Errorf("cut off after %d of %d bytes it was taken", n, len(whole))
		}
		changed := bytes.Clone(whole)
		changed[max(n, 10)] ^= 0x10 // the head of gzip has bytes that say nothing
		if err := restore(t, file(t, changed), to, false); !errors.Is(err, backup.ErrDamaged) {
			t.Errorf("with byte %d changed: %v, want ErrDamaged", max(n, 10), err)
		}
	}
	same(t, "after what was refused", rowsOf(t, to), before)
}

// full is a disk that has room for so many bytes.
type full struct{ room int }

func (f *full) Write(b []byte) (int, error) {
	if f.room -= len(b); f.room < 0 {
		return 0, io.ErrShortWrite
	}
	return len(b), nil
}

func TestAFullDiskFailsTheBackup(t *testing.T) {
	s := filled(t)
	for _, room := range []int{0, 100, 20_000} {
		if _, err := backup.Write(t.Context(), s, &full{room: room}, backup.Options{Now: time.Unix(1, 0)}); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("with room for %d bytes: %v", room, err)
		}
	}
}
