package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"tapline/broker/trace"
)

// groupLimit bounds how many updates share one commit.
const groupLimit = 512

// job is one update that waits.
type job struct {
	ctx   context.Context
	write func(*Tx) error
	own   error      // what write returned; it counts if the group was committed
	done  chan error // buffered: gets exactly one answer
}

// Update runs write in a transaction. It is durable when Update returns nil; on an error nothing of it was kept, but for ErrUnknown, after which
// that is so or not. write may run more than once, each time as if the time before had not been: the database may break the transaction off or be
// replaced. There is no writer goroutine: of all that wait, one takes the turn and commits for all, which needs no owner, no start and no stop.
func (s *Store) Update(ctx context.Context, write func(*Tx) error) (err error) {
	ctx, end := trace.Begin(ctx, "commit")
	defer func() { end(err) }()
	j := &job{ctx: ctx, write: write, done: make(chan error, 1)}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	s.queue = append(s.queue, j)
	s.mu.Unlock()
	gone := ctx.Done()
	for {
		select {
		case err := <-j.done:
			return err
		case <-gone:
			if s.withdraw(j) {
				return fmt.Errorf("write store: %w", ctx.Err())
			}
			gone = nil // it is being committed: that has to end
		case s.turn <- struct{}{}:
			s.commitGroup()
			<-s.turn
		}
	}
}

// withdraw takes a job out of the queue; false if it is not there any more.
func (s *Store) withdraw(j *job) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.queue, j)
	if i < 0 {
		return false
	}
	s.queue = slices.Delete(slices.Clone(s.queue), i, i+1) // a group that is being committed shares the array
	return true
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
	begun := time.Now()
	group, err := s.runGroup(context.WithoutCancel(group[0].ctx), group)
	if err == nil && s.Committed != nil {
		s.Committed(len(group), time.Since(begun))
	}
	s.notice(group, err)
	for _, j := range group {
		if err != nil {
			j.done <- fmt.Errorf("write store: %w", err)
			continue
		}
		j.done <- j.own
	}
}

// notice remembers whether the database takes what is written. An update that was refused for its own reasons says nothing of that.
func (s *Store) notice(group []*job, err error) {
	written := false
	for _, j := range group {
		if err == nil && full(j.own) {
			err = j.own
		}
		written = written || j.own == nil
	}
	if err == nil && !written {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unwritten = err
}

// full reports whether an error says that there is no room, or that the disk fails: SQLITE_FULL and SQLITE_IOERR, PostgreSQL's disk_full and io_error.
func full(err error) bool {
	var lite interface{ Code() int }
	if errors.As(err, &lite) {
		return lite.Code()&0xff == 13 || lite.Code()&0xff == 10
	}
	var postgres interface{ SQLState() string }
	return errors.As(err, &postgres) && slices.Contains([]string{"53100", "58030"}, postgres.SQLState())
}

// runGroup tries a group until it is committed, or cannot be, and gives those of it who wait for an answer still.
func (s *Store) runGroup(ctx context.Context, group []*job) ([]*job, error) {
	for try := newTries(patience); ; {
		s.mark.group++
		sent, err := s.tryGroup(ctx, group)
		if err == nil {
			return group, nil
		}
		if sent {
			done, unknown := s.resolve(ctx)
			if done || unknown != nil {
				return group, unknown
			}
		}
		var bad *unopened
		if errors.As(err, &bad) {
			if group = without(group, bad.job); len(group) == 0 {
				return group, nil
			}
			continue
		}
		if !s.engine.passing(err) {
			return group, err
		}
		if group = dismiss(group); len(group) == 0 || !try.wait(ctx) {
			return group, err
		}
	}
}

// dismiss answers those whose callers have gone. The group was not committed.
func dismiss(group []*job) []*job {
	var left []*job
	for _, j := range group {
		if err := j.ctx.Err(); err != nil {
			j.done <- fmt.Errorf("write store: %w", err)
			continue
		}
		left = append(left, j)
	}
	return left
}

// attemptLimit bounds one try of a group: a database that hangs shall not hang us.
const attemptLimit = 2 * patience

// tryGroup runs a group once. sent tells whether the commit was asked for: after an error from before that, the group was not committed.
func (s *Store) tryGroup(ctx context.Context, group []*job) (sent bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()
	if err := s.connect(ctx); err != nil {
		return false, err
	}
	if err := s.engine.begin(ctx, s.conn, s.mark); err != nil {
		return false, s.abandon(err)
	}
	if len(group) == 1 { // nobody to be kept from
		if group[0].own = s.call(ctx, group[0], s.line(nil)); group[0].own != nil {
			return false, s.rollback(ctx, group[0])
		}
	} else {
		savepoint := []string{"SAVEPOINT one"}
		for _, j := range group {
			if j.own = j.ctx.Err(); j.own != nil {
				continue
			}
			set, err := s.runOne(ctx, j, savepoint)
			if err != nil {
				return false, s.abandon(err)
			}
			if set {
				savepoint = []string{"RELEASE SAVEPOINT one", "SAVEPOINT one"}
			}
		}
	}
	if err := s.engine.commit(ctx, s.conn); err != nil {
		return true, s.abandon(err)
	}
	return false, nil
}

// rollback ends the transaction of a group of one. Its own error is its answer, unless the database's fault made it fail.
func (s *Store) rollback(ctx context.Context, j *job) error {
	if s.lost(j) {
		return s.abandon(j.own)
	}
	if _, err := s.conn.ExecContext(ctx, "ROLLBACK"); err != nil {
		_ = s.abandon(err)
	}
	return nil
}

// runOne runs one update behind a savepoint. An error means that the whole group is lost. set tells whether the savepoint was sent: on a line it goes
// with the first statement, and never if there is none.
func (s *Store) runOne(ctx context.Context, j *job, savepoint []string) (set bool, err error) {
	l := s.line(savepoint)
	if l == nil {
		if _, err := s.conn.ExecContext(ctx, strings.Join(savepoint, "; ")); err != nil {
			return true, err
		}
	}
	j.own = s.call(ctx, j, l)
	set = l == nil || l.set
	switch {
	case j.own == nil:
		return set, nil
	case s.lost(j):
		return set, j.own
	case set:
		_, err = s.conn.ExecContext(ctx, "ROLLBACK TO SAVEPOINT one")
	case l.sent: // there is nothing to go back to but what the update before began with
		return false, &unopened{j}
	}
	return set, err
}

// unopened says that the first statements of an update did not come as far as its savepoint: the group is run again without it.
type unopened struct{ job *job }

func (u *unopened) Error() string { return u.job.own.Error() }
func (u *unopened) Unwrap() error { return u.job.own }

// without is a group without an update, which gets its answer.
func without(group []*job, j *job) []*job {
	j.done <- j.own
	return slices.DeleteFunc(slices.Clone(group), func(other *job) bool { return other == j })
}

// line is how an update speaks with a server, which first hears of its savepoint; nil where the database is none.
func (s *Store) line(savepoint []string) *line {
	if s.engine.name() != postgresName {
		return nil
	}
	l := &line{conn: s.conn, form: s.engine.form, trip: s.Trip, opening: len(savepoint)}
	for _, statement := range savepoint {
		l.wait = append(l.wait, question{query: statement, what: "begin an update"})
	}
	return l
}

// lost reports whether it was the database's fault that an update failed. A caller whose time is up looks the same, and costs nobody else anything: if the
// connection broke too, the rollback finds out.
func (s *Store) lost(j *job) bool { return j.ctx.Err() == nil && s.engine.passing(j.own) }

// call runs what an update wants done.
func (s *Store) call(ctx context.Context, j *job, l *line) error {
	if err := j.ctx.Err(); err != nil {
		return err
	}
	tx := &Tx{ctx: ctx, engine: s.engine, run: s.writeRunner(ctx), line: l, writer: s.mark.writer, asked: s.Asked}
	err := guard(j.write, tx)
	if err == nil {
		err = tx.settle()
	}
	if err == nil && s.engine.aborted(s.conn) {
		err = errors.New("an update went on after a query of it had failed")
	}
	return err
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

// resolve finds out whether the group whose commit failed was committed.
func (s *Store) resolve(ctx context.Context) (done bool, unknown error) {
	for try := newTries(attemptLimit); ; {
		done, err := s.lookUp(ctx)
		if err == nil {
			return done, nil
		}
		if !try.wait(ctx) {
			return false, fmt.Errorf("%w: %w", ErrUnknown, err)
		}
	}
}

func (s *Store) lookUp(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := s.connect(ctx); err != nil {
		return false, err
	}
	done, err := s.engine.committed(ctx, s.conn, s.mark)
	if err != nil {
		return false, s.abandon(err)
	}
	return done, nil
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

// writeRunner runs queries on the writer's connection; where statements are kept by hand, each is prepared once.
func (s *Store) writeRunner(ctx context.Context) runner {
	if _, byHand := s.engine.(sqlite); !byHand {
		return direct{to: s.conn, form: s.engine.form}
	}
	return prepared(func(query string) (*sql.Stmt, error) {
		if stmt := s.statements[query]; stmt != nil {
			return stmt, nil
		}
		stmt, err := s.conn.PrepareContext(ctx, query)
		if err == nil {
			s.statements[query] = stmt
		}
		return stmt, err
	})
}

// rollbackWithin bounds the farewell to a connection that may be dead.
const rollbackWithin = patience / 10

// abandon rolls back, and drops the connection: after a failed commit its state is not to be trusted.
func (s *Store) abandon(cause error) error {
	ctx, cancel := context.WithTimeout(context.Background(), rollbackWithin)
	defer cancel()
	_, _ = s.conn.ExecContext(ctx, "ROLLBACK")
	for _, stmt := range s.statements {
		_ = stmt.Close()
	}
	_ = s.conn.Raw(func(any) error { return driver.ErrBadConn }) // Close alone would give it back to the pool, and we would get it again
	_ = s.conn.Close()
	s.conn = nil
	return cause
}
