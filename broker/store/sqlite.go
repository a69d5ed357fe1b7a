package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// engine is what differs between databases.
type engine struct {
	name  string // also the folder of its migrations
	where string
	begin string
}

// FileName is the database's name in the data folder.
const FileName = "broker.db"

// readers is how many reads run at once.
const readers = 8

// OpenSQLite opens the database in the folder dir, making it if it is not there. Its schema is not touched: see Migrate.
func OpenSQLite(dir string) (*Store, error) {
	path := filepath.Join(dir, FileName)
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
	read.SetMaxOpenConns(readers + 1) // see Store.reading
	read.SetMaxIdleConns(readers + 1)
	return &Store{
		engine:   engine{name: "sqlite", where: "sqlite " + path, begin: "BEGIN IMMEDIATE"},
		read:     read,
		write:    write,
		turn:     make(chan struct{}, 1),
		reading:  make(chan struct{}, readers),
		prepared: map[string]*sql.Stmt{},
	}, nil
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
