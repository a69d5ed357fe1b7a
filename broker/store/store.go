package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
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
	// ErrUnknown says that the database went away while it committed, and did not come back in time to say whether it did.
	ErrUnknown = errors.New("the database went away in the middle of the commit: nobody knows whether it was done")
)

// Store is an open database.
type Store struct {
	// Committed, if it is set before the first Update, is told of each group that was committed: how many updates, and how long it took. It must not wait.
	Committed func(updates int, took time.Duration)
	// Asked, if it is set before the first Update, is told of each statement of an update, for whoever counts them. It must not wait.
	Asked func()
	// Trip, if it is set before the first Update, is told of each way of an update to the server, but for its beginning and its commit; of none where
	// the database is no server. It must not wait.
	Trip func()

	engine engine
	read   *sql.DB
	write  *sql.DB

	// turn holds one element while somebody commits.
	turn chan struct{}
	// reading holds one element for each View. It has room for fewer than read has connections, because a View that meets a new query needs a
	// second connection to prepare it: if each View could have all but its own, all would wait for ever.
	reading chan struct{}

	mu        sync.Mutex // guards what follows
	queue     []*job
	closed    bool
	prepared  map[string]*sql.Stmt // for read
	unwritten error                // why the last group was not written; nil once one is again

	// Owned by whoever has the turn.
	conn       *sql.Conn
	statements map[string]*sql.Stmt
	mark       mark
}

// newStore is a store on an engine. write has one connection.
func newStore(e engine, read, write *sql.DB) *Store {
	read.SetMaxOpenConns(readers + 1) // see Store.reading
	read.SetMaxIdleConns(readers + 1)
	write.SetMaxOpenConns(1)
	return &Store{
		engine: e, read: read, write: write,
		turn: make(chan struct{}, 1), reading: make(chan struct{}, readers), prepared: map[string]*sql.Stmt{},
		mark: mark{writer: uuid.NewString()},
	}
}

// View runs read in one consistent snapshot. Nothing that read does is kept.
func (s *Store) View(ctx context.Context, read func(*Tx) error) error {
	select {
	case s.reading <- struct{}{}:
		defer func() { <-s.reading }()
	case <-ctx.Done():
		return fmt.Errorf("read store: %w", ctx.Err())
	}
	tx, err := s.snapshot(ctx)
	if err != nil {
		return fmt.Errorf("read store: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // there is nothing to keep
	return read(&Tx{ctx: ctx, engine: s.engine, run: s.readRunner(ctx, tx)})
}

// patience is how long a database that went away is waited for: the time that a standby takes to be promoted, and some.
const patience = 15 * time.Second

// snapshot begins a View. Nothing was read yet, so a connection that broke is no reason to fail: the next one may be good.
func (s *Store) snapshot(ctx context.Context) (*sql.Tx, error) {
	for try := newTries(patience); ; {
		tx, err := s.read.BeginTx(ctx, s.engine.snapshot())
		if err == nil || !s.engine.passing(err) || !try.wait(ctx) {
			return tx, err
		}
	}
}

func (s *Store) readRunner(ctx context.Context, tx *sql.Tx) runner {
	if _, byHand := s.engine.(sqlite); !byHand {
		return direct{to: tx, form: s.engine.form}
	}
	return prepared(func(query string) (*sql.Stmt, error) {
		stmt, err := s.prepare(ctx, query)
		if err != nil {
			return nil, err
		}
		if stmt == nil {
			return tx.PrepareContext(ctx, query) // closed with tx
		}
		return tx.StmtContext(ctx, stmt), nil
	})
}

// maxPrepared bounds the read statements that are kept: a filter's query has as many forms as its lists have lengths.
const maxPrepared = 500

// prepare keeps the read statements, so that each is parsed once a connection; nil when enough are kept.
func (s *Store) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	s.mu.Lock()
	stmt, full := s.prepared[query], len(s.prepared) >= maxPrepared
	s.mu.Unlock()
	if stmt != nil || full {
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

// Waiting is how many updates wait for their commit.
func (s *Store) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue)
}

// Where says which engine it is and where its data is, for a person.
func (s *Store) Where() string { return s.engine.where() }

// Unwritten says why the database did not take what was written last; nil when it did.
func (s *Store) Unwritten() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unwritten
}

// Probe writes something small: after it Unwritten tells of the present.
func (s *Store) Probe(ctx context.Context) error {
	return s.Update(ctx, func(tx *Tx) error {
		_, err := tx.Next("probe", 1)
		return err
	})
}

// Conditions are what a person should know of the database's state; none if all is well.
func (s *Store) Conditions(ctx context.Context) []string {
	all := s.engine.conditions(ctx, s.read)
	if unwritten := s.Unwritten(); unwritten != nil {
		all = append(all, fmt.Sprintf("the store did not take what was written last, see its disk: %v", unwritten))
	}
	return all
}

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
		ctx, cancel := context.WithTimeout(context.Background(), rollbackWithin)
		_ = s.engine.leave(ctx, s.conn, s.mark)
		cancel()
		first = s.conn.Close()
		s.conn = nil
	}
	<-s.turn
	return errors.Join(first, s.write.Close(), s.read.Close())
}
