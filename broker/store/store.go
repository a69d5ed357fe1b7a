package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
)

// Errors that callers handle.
var (
	// ErrNotFound says that there is no such row.
	ErrNotFound = errors.New("not found")
	// ErrRevision says that the row was changed since the caller read it.
	ErrRevision = errors.New("it was changed meanwhile")
	// ErrExists says that the row is there already.
	ErrExists = errors.New("it is there already")
	// ErrClosed says that the store was closed.
	ErrClosed = errors.New("the store is closed")
)

// Store is an open database.
type Store struct {
	engine engine
	read   *sql.DB
	write  *sql.DB

	// turn holds one element while somebody commits.
	turn chan struct{}

	mu       sync.Mutex // guards what follows
	queue    []*job
	closed   bool
	prepared map[string]*sql.Stmt // for read

	// Owned by whoever has the turn.
	conn       *sql.Conn
	statements map[string]*sql.Stmt
}

// View runs read in one consistent snapshot. Nothing that read does is kept.
func (s *Store) View(ctx context.Context, read func(*Tx) error) error {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("read store: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // there is nothing to keep
	return read(&Tx{ctx: ctx, engine: s.engine, statement: func(query string) (*sql.Stmt, error) {
		stmt, err := s.prepare(ctx, query)
		if err != nil {
			return nil, err
		}
		return tx.StmtContext(ctx, stmt), nil
	}})
}

// prepare keeps the read statements, so that each is parsed once a connection.
func (s *Store) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	s.mu.Lock()
	stmt := s.prepared[query]
	s.mu.Unlock()
	if stmt != nil {
		return stmt, nil
	}
	stmt, err := s.read.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if first := s.prepared[query]; first != nil {
		return first, stmt.Close()
	}
	s.prepared[query] = stmt
	return stmt, nil
}

// Where says which engine it is and where its data is, for a person.
func (s *Store) Where() string { return s.engine.where }

// Close waits for the update that runs and closes the database. Updates that wait, and later ones, get ErrClosed.
func (s *Store) Close() error {
	s.mu.Lock()
	waiting := s.queue
	s.queue, s.closed = nil, true
	s.mu.Unlock()
	for _, j := range waiting {
		j.done <- ErrClosed
	}
	s.turn <- struct{}{}
	var first error
	if s.conn != nil {
		first = s.conn.Close()
		s.conn = nil
	}
	<-s.turn
	return errors.Join(first, s.write.Close(), s.read.Close())
}
