package store_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"tapline/broker/store"
	"tapline/broker/store/storetest"
)

func TestSQLite(t *testing.T) {
	storetest.Run(t, storetest.Engine{Open: store.OpenSQLite})
}

func TestAStoreOfANewerVersionIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	ahead(t, filepath.Join(dir, store.FileName))
	s, err := store.OpenSQLite(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // the test is over
	_, schema := s.Schema(t.Context())
	for what, err := range map[string]error{"schema": schema, "migrate": s.Migrate(t.Context())} {
		if err == nil || !strings.Contains(err.Error(), "newer version") {
			t.Errorf("%s: %v, want an error that tells of a newer version", what, err)
		}
	}
}

// ahead writes that the schema is further than any program knows.
func ahead(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestAFolderThatIsNotThereIsAnError(t *testing.T) {
	if s, err := store.OpenSQLite(filepath.Join(t.TempDir(), "nowhere")); err == nil {
		t.Errorf("it opened; close: %v", s.Close())
	}
}

func TestAFileThatIsNoDatabaseIsAnError(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, store.FileName), []byte(strings.Repeat("not a database. ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := store.OpenSQLite(dir)
	if err == nil {
		err = errors.Join(s.Migrate(t.Context()), s.Close())
	}
	if err == nil {
		t.Error("it opened")
	}
}

// open opens the store in dir with its schema.
func open(t testing.TB, dir string) *store.Store {
	t.Helper()
	s, err := store.OpenSQLite(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// Names of people are in it, and the folder that an administrator made may be open to others.
func TestTheFilesOfANewStoreAreClosedToOthers(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs: file modes; on Windows rights are the folder's")
	}
	dir := t.TempDir()
	s := open(t, dir)
	files, err := filepath.Glob(filepath.Join(dir, store.FileName+"*"))
	if err != nil || len(files) < 3 {
		t.Fatalf("got %v, %v, want the store, its log and its index", files, err)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got %v, %v, want 600", f, info.Mode(), err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
