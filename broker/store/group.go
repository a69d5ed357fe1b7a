package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"runtime/debug"
)

// groupLimit bounds how many updates share one commit.
const groupLimit = 512

// job is one update that waits.
type job struct {
	ctx   context.Context
	write func(*Tx) error
	done  chan error // buffered: gets exactly one answer
}

// Update runs write in a transaction. It is durable when Update returns nil; on an error nothing of it was kept. There is no
// writer goroutine: of all that wait, one takes the turn and commits for all, which needs no owner, no start and no stop.
func (s *Store) Update(ctx context.Context, write func(*Tx) error) error {
	j := &job{ctx: ctx, write: write, done: make(chan error, 1)}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	s.queue = append(s.queue, j)
	s.mu.Unlock()
	for {
		select {
		case err := <-j.done:
			return err
		case s.turn <- struct{}{}:
			s.commitGroup()
			<-s.turn
		}
	}
}

// commitGroup does what waits, up to the limit. The caller has the turn.
func (s *Store) commitGroup() {
	s.mu.Lock()
	n := min(len(s.queue), groupLimit)
	group := s.queue[:n:n]
	s.queue = s.queue[n:]
	s.mu.Unlock()
	if len(group) == 0 {
		return
	}
	// The group's commit must not hang on the patience of any one caller.
	ctx := context.WithoutCancel(group[0].ctx)
	outcome, err := s.runGroup(ctx, group)
	for i, j := range group {
		if err != nil {
			j.done <- fmt.Errorf("write store: %w", err)
			continue
		}
		j.done <- outcome[i]
	}
}

func (s *Store) runGroup(ctx context.Context, group []*job) ([]error, error) {
	if err := s.connect(ctx); err != nil {
		return nil, err
	}
	if _, err := s.conn.ExecContext(ctx, s.engine.begin); err != nil {
		return nil, err
	}
	outcome := make([]error, len(group))
	for i, j := range group {
		var err error
		if outcome[i], err = s.runOne(ctx, j); err != nil {
			return nil, s.abandon(ctx, err)
		}
	}
	if _, err := s.conn.ExecContext(ctx, "COMMIT"); err != nil {
		return nil, s.abandon(ctx, err)
	}
	return outcome, nil
}

// runOne runs one update behind a savepoint. The second error means that the whole group is lost.
func (s *Store) runOne(ctx context.Context, j *job) (own, all error) {
	if err := j.ctx.Err(); err != nil {
		return err, nil
	}
	if _, err := s.conn.ExecContext(ctx, "SAVEPOINT one"); err != nil {
		return nil, err
	}
	own = guard(j.write, &Tx{ctx: ctx, engine: s.engine, statement: s.cached(ctx)})
	if own != nil {
		if _, err := s.conn.ExecContext(ctx, "ROLLBACK TO SAVEPOINT one"); err != nil {
			return nil, err
		}
	}
	_, err := s.conn.ExecContext(ctx, "RELEASE SAVEPOINT one")
	return own, err
}

// guard keeps the panic of one update from the others of its group.
func guard(write func(*Tx) error, tx *Tx) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic in an update: %T\n%s", v, debug.Stack())
		}
	}()
	return write(tx)
}

func (s *Store) connect(ctx context.Context) error {
	if s.conn != nil {
		return nil
	}
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return err
	}
	s.conn, s.statements = conn, map[string]*sql.Stmt{}
	return nil
}

// cached prepares each statement once for the writer's connection.
func (s *Store) cached(ctx context.Context) func(string) (*sql.Stmt, error) {
	return func(query string) (*sql.Stmt, error) {
		if stmt := s.statements[query]; stmt != nil {
			return stmt, nil
		}
		stmt, err := s.conn.PrepareContext(ctx, query)
		if err == nil {
			s.statements[query] = stmt
		}
		return stmt, err
	}
}

// abandon rolls back, and drops the connection: after a failed commit its state is not to be trusted.
func (s *Store) abandon(ctx context.Context, cause error) error {
	_, _ = s.conn.ExecContext(ctx, "ROLLBACK")
	for _, stmt := range s.statements {
		_ = stmt.Close()
	}
	_ = s.conn.Raw(func(any) error { return driver.ErrBadConn }) // Close alone would give it back to the pool, and we would get it again
	_ = s.conn.Close()
	s.conn = nil
	return cause
}
