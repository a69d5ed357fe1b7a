package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// FileName is the database's name in the data folder.
const FileName = "broker.db"

// readers is how many reads run at once.
const readers = 8

// OpenSQLite opens the database in the folder dir, making it if it is not there. Its schema is not touched: see Migrate.
func OpenSQLite(dir string) (*Store, error) {
	path := filepath.Join(dir, FileName)
	if err := makeClosed(path); err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	write, err := sql.Open("sqlite", sqliteName(path, false))
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	write.SetMaxOpenConns(1)
	if err := write.PingContext(context.Background()); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", path, err), write.Close())
	}
	read, err := sql.Open("sqlite", sqliteName(path, true))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", path, err), write.Close())
	}
	return newStore(sqlite{path: path, write: write}, read, write), nil
}

// makeClosed makes the file readable by its owner alone before SQLite makes it for everybody; its log and index take over the file's mode.
func makeClosed(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// sqliteName is the data source name. WAL with FULL survived every simulated crash; where WAL is not proven, the rollback journal needs EXTRA
// for the same.
func sqliteName(path string, readOnly bool) string {
	journal, synchronous := "WAL", "FULL"
	if runtime.GOOS == "windows" {
		journal, synchronous = "DELETE", "EXTRA"
	}
	q := url.Values{"_pragma": {
		"busy_timeout(10000)", "journal_mode(" + journal + ")", "synchronous(" + synchronous + ")",
		"foreign_keys(1)", "temp_store(MEMORY)", "cache_size(-16000)",
	}}
	if readOnly {
		q.Add("_pragma", "query_only(1)")
	}
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath(), RawQuery: q.Encode()}
	return u.String()
}

// sqlite is a file of this machine: there is one broker, and a commit that failed was not done.
type sqlite struct {
	path  string
	write *sql.DB
}

func (sqlite) name() string             { return "sqlite" }
func (s sqlite) where() string          { return "sqlite " + s.path }
func (sqlite) form(query string) string { return query }
func (sqlite) snapshot() *sql.TxOptions { return &sql.TxOptions{ReadOnly: true} }
func (sqlite) aborted(*sql.Conn) bool   { return false }
func (sqlite) passing(error) bool       { return false }

func (sqlite) begin(ctx context.Context, conn *sql.Conn, _ mark) error {
	_, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE")
	return err
}

func (sqlite) commit(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "COMMIT")
	return err
}

func (sqlite) committed(context.Context, *sql.Conn, mark) (bool, error) { return false, nil }

func (s sqlite) forSchema() (*sql.DB, func() error, error) {
	return s.write, func() error { return nil }, nil
}

func (sqlite) lockSchema(context.Context, *sql.DB) (func() error, error) {
	return func() error { return nil }, nil
}

func (sqlite) afterMigration(context.Context, *sql.DB) error { return nil }

func (sqlite) alone(context.Context, *sql.Tx, mark) error { return nil } // whoever loads has locked the data folder

func (sqlite) leave(context.Context, *sql.Conn, mark) error { return nil }

func (sqlite) conditions(context.Context, *sql.DB) []string { return nil }
