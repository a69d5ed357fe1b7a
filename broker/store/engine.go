package store

import (
	"context"
	"database/sql"
)

// engine is what differs between databases. All that touch the writer's connection are called by whoever has the turn.
type engine interface {
	// name is also the folder of its migrations.
	name() string
	// where says where the data is, for a person. It holds no secret.
	where() string
	// form turns a query with "?" for its arguments into the engine's own.
	form(query string) string
	// snapshot is how a View begins.
	snapshot() *sql.TxOptions
	// begin begins a group's transaction and waits until no other broker on the same data writes. m is written with it.
	begin(ctx context.Context, conn *sql.Conn, m mark) error
	// commit commits it. After an error nobody knows whether it was.
	commit(ctx context.Context, conn *sql.Conn) error
	// aborted reports whether an error has made the transaction worthless, as far back as its last savepoint.
	aborted(conn *sql.Conn) bool
	// committed tells, of a group whose commit failed, whether it was done: what it says stays so, also when the database fails over.
	committed(ctx context.Context, conn *sql.Conn, m mark) (bool, error)
	// passing reports whether an error is one of those that go away: a connection that broke, a server that is being replaced.
	passing(err error) bool
	// forSchema opens what migrations run on; call done after.
	forSchema() (db *sql.DB, done func() error, err error)
	// afterMigration does what migrations cannot say in SQL that is the same everywhere.
	afterMigration(ctx context.Context, db *sql.DB) error
	// lockSchema waits until no other broker migrates.
	lockSchema(ctx context.Context, db *sql.DB) (unlock func() error, err error)
	// alone keeps all others from writing until tx ends; ErrInUse if another writer than that of m has written a moment ago.
	alone(ctx context.Context, tx *sql.Tx, m mark) error
	// leave takes back what tells others that this writer is at work; that it fails does no harm.
	leave(ctx context.Context, conn *sql.Conn, m mark) error
	// conditions are what a person should know of the engine's state.
	conditions(ctx context.Context, read *sql.DB) []string
}

// mark tells one group commit from all others.
type mark struct {
	writer string // of this Store; it never comes again
	group  uint64 // counts the groups of the writer
}

// runner runs a query with "?" for its arguments.
type runner interface {
	exec(ctx context.Context, query string, args ...any) (sql.Result, error)
	query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	row(ctx context.Context, query string, args ...any) (*sql.Row, error)
}

// prepared runs queries as statements that somebody keeps.
type prepared func(query string) (*sql.Stmt, error)

func (p prepared) exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	stmt, err := p(query)
	if err != nil {
		return nil, err
	}
	return stmt.ExecContext(ctx, args...)
}

func (p prepared) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	stmt, err := p(query)
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(ctx, args...)
}

func (p prepared) row(ctx context.Context, query string, args ...any) (*sql.Row, error) {
	stmt, err := p(query)
	if err != nil {
		return nil, err
	}
	return stmt.QueryRowContext(ctx, args...), nil
}

// direct hands queries to a driver that keeps statements itself, for each connection its own, so that none outlives its connection.
type direct struct {
	to interface {
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
		QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	}
	form func(query string) string
}

func (d direct) exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return d.to.ExecContext(ctx, d.form(query), args...)
}

func (d direct) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return d.to.QueryContext(ctx, d.form(query), args...)
}

func (d direct) row(ctx context.Context, query string, args ...any) (*sql.Row, error) {
	return d.to.QueryRowContext(ctx, d.form(query), args...), nil
}

// postgresName is the engine whose statements are ways over a network.
const postgresName = "postgres"
