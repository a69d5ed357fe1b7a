package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// brokenOff reports whether the other side closed the connection.
func brokenOff(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// takeTurn begins a transaction and waits until no other broker is in one.
const takeTurn = `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT one FROM writer WHERE one = 1 FOR UPDATE; `

// begin takes the turn of all brokers, and writes in the same transaction which group this is.
func (e *postgres) begin(ctx context.Context, conn *sql.Conn, m mark) error {
	_, err := conn.ExecContext(ctx, takeTurn+`INSERT INTO commits (writer, last_group, at) VALUES ('`+m.writer+`', `+strconv.FormatUint(m.group, 10)+
		`, CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT))
		ON CONFLICT (writer) DO UPDATE SET last_group = excluded.last_group, at = excluded.at`)
	return err
}

// commit commits. A commit that the server turned into a rollback, or did not see through to its standby, is an error.
func (e *postgres) commit(ctx context.Context, conn *sql.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	e.warned.Store(false)
	tag, err := e.raw(ctx, conn, "COMMIT")
	switch {
	case err != nil:
		return err
	case tag != "COMMIT":
		return fmt.Errorf("the server answered the commit with %s", tag)
	case e.warned.Load():
		return errors.New("the server committed without waiting for its standby")
	}
	return nil
}

// raw sends a statement and gives what the server says it did.
func (*postgres) raw(ctx context.Context, conn *sql.Conn, statement string) (string, error) {
	var tag string
	err := conn.Raw(func(c any) error {
		results, err := c.(*stdlib.Conn).Conn().PgConn().Exec(ctx, statement).ReadAll()
		if err == nil && len(results) > 0 {
			tag = results[len(results)-1].CommandTag.String()
		}
		return err
	})
	return tag, err
}

// aborted asks the connection, not the server.
func (*postgres) aborted(conn *sql.Conn) bool {
	bad := false
	_ = conn.Raw(func(c any) error {
		bad = c.(*stdlib.Conn).Conn().PgConn().TxStatus() == 'E'
		return nil
	})
	return bad
}

// committed takes the turn, which the transaction in question holds until it has ended, and looks whether its group is there. Then it commits
// something of its own: a standby that has this has all before it, so that what is found here cannot be lost any more.
func (e *postgres) committed(ctx context.Context, conn *sql.Conn, m mark) (bool, error) {
	if _, err := conn.ExecContext(ctx, takeTurn+`UPDATE writer SET looked_up = looked_up + 1`); err != nil {
		return false, err
	}
	var last int64
	err := conn.QueryRowContext(ctx, `SELECT last_group FROM commits WHERE writer = $1`, m.writer).Scan(&last)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return false, err
	}
	return uint64(last) == m.group, e.commit(ctx, conn)
}

// forSchema is a connection without limits: an index over a hundred million records takes its time.
func (e *postgres) forSchema() (*sql.DB, func() error, error) {
	cfg, err := e.source.config()
	if err != nil {
		return nil, nil, err
	}
	db := e.pool(cfg, schemaSession)
	return db, db.Close, nil
}

// lockSchema locks a table that is there for nothing else, for as long as the connection lives. goose's own lock is of the session,
// which the correctness of nothing here shall hang on.
func (e *postgres) lockSchema(ctx context.Context, db *sql.DB) (func() error, error) {
	for try := newTries(patience); ; {
		// Two that make the table at once: one fails, and finds it there the next time.
		_, err := db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS migrating (one INTEGER PRIMARY KEY)`)
		var said *pgconn.PgError
		if err == nil {
			break
		}
		if !errors.As(err, &said) || said.Code != "23505" && said.Code != "42P07" || !try.wait(ctx) {
			return nil, err
		}
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	if _, err := tx.ExecContext(ctx, `LOCK TABLE migrating IN ACCESS EXCLUSIVE MODE`); err != nil {
		return nil, errors.Join(err, tx.Rollback())
	}
	return tx.Commit, nil
}

// afterMigration makes all text sort by its bytes, whatever the database was made with: ranges over names rely on it, and an index in a
// language's order breaks when the machine of the standby knows that language differently.
func (*postgres) afterMigration(ctx context.Context, db *sql.DB) error {
	if err := forgetWriters(ctx, db); err != nil {
		return err
	}
	rows, err := db.QueryContext(ctx, `SELECT quote_ident(c.relname), string_agg('ALTER COLUMN ' || quote_ident(a.attname) || ' TYPE TEXT COLLATE "C"', ', ')
		FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_collation l ON l.oid = a.attcollation
		WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid = 'text'::regtype
		AND l.collname = 'default' GROUP BY c.relname`)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // rows.Err says more
	var changes []string
	for rows.Next() {
		var table, columns string
		if err := rows.Scan(&table, &columns); err != nil {
			return err
		}
		changes = append(changes, `ALTER TABLE `+table+` `+columns)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, change := range changes {
		if _, err := db.ExecContext(ctx, change); err != nil {
			return err
		}
	}
	return nil
}

// alone takes the turn for the whole of tx, and looks, by the server's clock, for marks of brokers that run. A schema from before there were others has
// nothing to look at.
func (*postgres) alone(ctx context.Context, tx *sql.Tx, m mark) error {
	var there bool
	if err := tx.QueryRowContext(ctx, `SELECT to_regclass('writer') IS NOT NULL AND to_regclass('commits') IS NOT NULL`).Scan(&there); err != nil || !there {
		return err
	}
	if _, err := tx.ExecContext(ctx, `SELECT one FROM writer WHERE one = 1 FOR UPDATE`); err != nil {
		return err
	}
	var ago sql.NullInt64
	if err := tx.QueryRowContext(ctx, numberPlaceholders(sinceOthers), m.writer).Scan(&ago); err != nil {
		return err
	}
	return fresh(ago)
}

// sinceOthers is how long ago another writer wrote, by the server's clock.
const sinceOthers = `SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) - MAX(at) FROM commits WHERE writer <> ?`

// fresh is ErrInUse if that is no longer ago than a broker that runs lets pass.
func fresh(ago sql.NullInt64) error {
	if since := time.Duration(ago.Int64) * time.Microsecond; ago.Valid && since < markFresh {
		return fmt.Errorf("%w: one wrote %s ago", ErrInUse, max(0, since).Round(100*time.Millisecond))
	}
	return nil
}

// Alone is ErrInUse if another broker is seen to work on the store. None can write before the update has ended, but one that is started may after. Who has
// a store in a folder has locked that.
func (tx *Tx) Alone() error {
	if tx.engine.name() != postgresName {
		return nil
	}
	var ago sql.NullInt64
	if err := tx.one(sinceOthers, []any{tx.writer}, &ago); err != nil {
		return fmt.Errorf("look for other brokers: %w", err)
	}
	return fresh(ago)
}

// leave drops the writer's mark, so that nobody takes it for a broker that runs. It waits for no standby: a mark that stays is out of date soon.
func (*postgres) leave(ctx context.Context, conn *sql.Conn, m mark) error {
	_, err := conn.ExecContext(ctx, `BEGIN; SET LOCAL synchronous_commit = local; DELETE FROM commits WHERE writer = '`+m.writer+`'; COMMIT`)
	return err
}

// forgetWriters drops the marks of brokers that stopped long ago: each run has its own.
func forgetWriters(ctx context.Context, db *sql.DB) error {
	var there bool
	if err := db.QueryRowContext(ctx, `SELECT to_regclass('commits') IS NOT NULL`).Scan(&there); err != nil || !there {
		return err
	}
	_, err := db.ExecContext(ctx, `DELETE FROM commits WHERE at < CAST(EXTRACT(EPOCH FROM clock_timestamp() - INTERVAL '30 days') * 1000000 AS BIGINT)`)
	return err
}
