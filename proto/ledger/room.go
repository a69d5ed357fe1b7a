package ledger

import (
	"errors"
	"os"
	"time"
)

// retryReserve is how often a missing reserve is tried for again.
const retryReserve = 5 * time.Second

// makeRoom gets space for r: a new segment, or the reserve. It returns ErrFull if there is none, and ErrFailed, after which nobody
// must write, if the disk misbehaved. The turn must be held.
func (l *Ledger) makeRoom(r *request) error {
	if err := l.refillReserve(); err != nil {
		return l.fail(err)
	}
	if r.size <= l.room(r.reserved) {
		return nil
	}
	err := l.rotate(l.o.SegmentSize)
	if noSpace(err) && r.reserved && l.reserve && r.size <= l.o.Reserve-dataStart {
		err = l.useReserve()
	}
	switch {
	case noSpace(err):
		return l.problem("new segment", ErrFull, err)
	case err != nil:
		return l.fail(l.problem("new segment", ErrFailed, err))
	case r.size > l.room(r.reserved):
		return l.problem("new segment", ErrFull, errors.New("what is left is kept for closing entries"))
	}
	return nil
}

func (l *Ledger) problem(op string, kind, err error) error {
	return &Error{Op: op, Path: l.dir, Index: l.next, Kind: kind, Err: err}
}

// rotate goes on in a new segment of the given size.
func (l *Ledger) rotate(size int64) error {
	if !l.affordable(size) {
		return errNoSpace
	}
	s, f, err := l.createSegment(l.next, size)
	if err != nil {
		return err
	}
	l.startSegment(s, f)
	return nil
}

// affordable tells a full disk without trying, where the system can say; trying costs writes where space can't be taken in one step.
func (l *Ledger) affordable(size int64) bool {
	free, err := l.fs.Free(l.dir)
	return err != nil || free >= size
}

// startSegment makes s the current segment. A segment that never held an entry has the same name, so its file is gone by now.
func (l *Ledger) startSegment(s *segment, f File) {
	if l.cur != nil {
		_ = l.cur.Close() // all that it acknowledged is flushed
	}
	l.cur, l.attempts = f, 0
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.segments); n > 0 && l.segments[n-1].first == s.first {
		l.segments = l.segments[:n-1]
	}
	l.segments = append(l.segments[:len(l.segments):len(l.segments)], s)
}

// useReserve turns the reserve into the next segment. Its blocks are already ours, so nobody can take them in between, as could happen
// if it were removed first.
//
//	openat("reserve", O_RDWR|O_CLOEXEC)
//	pwrite64 of the header, fsync, close
//	renameat("reserve", NAME)
//	openat(DIR), fsync, close
//	openat(NAME, O_RDWR|O_CLOEXEC)
func (l *Ledger) useReserve() error {
	f, err := l.fs.OpenFile(l.path(reserveName), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	l.setReserve(false)
	s, cur, err := l.nameSegment(f, l.path(reserveName), l.next, l.o.Reserve)
	if err != nil {
		return err
	}
	l.startSegment(s, cur)
	return nil
}

// holdReserve makes sure of the reserve when the ledger is opened: an old one of the right size is taken over.
func (l *Ledger) holdReserve() error {
	if l.o.Reserve <= 0 {
		return nil
	}
	info, err := l.fs.Stat(l.path(reserveName))
	if err == nil && info.Size() == l.o.Reserve {
		l.setReserve(true)
		return nil
	}
	return l.refillReserve()
}

// refillReserve sets the reserve aside again if it is missing and there is space for it and for a segment beside it. A full disk is no
// error; it is tried again later.
//
//	openat("reserve.new", O_RDWR|O_CREAT|O_TRUNC|O_CLOEXEC, 0600)
//	fallocate, pwrite64 of zeros, fsync, close
//	renameat("reserve.new", "reserve")
//	openat(DIR), fsync, close
func (l *Ledger) refillReserve() error {
	if l.reserve || l.o.Reserve <= 0 || l.o.Now().Before(l.nextTry) {
		return nil
	}
	l.nextTry = l.o.Now().Add(retryReserve)
	if !l.affordable(l.o.Reserve + l.o.SegmentSize) {
		return nil
	}
	err := l.createReserve()
	if noSpace(err) {
		return nil
	}
	if err != nil {
		return l.problem("set reserve aside", ErrFailed, err)
	}
	l.setReserve(true)
	return nil
}

func (l *Ledger) createReserve() error {
	fresh := l.path(reserveName + newSuffix)
	f, err := l.allocate(fresh, l.o.Reserve)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := l.fs.Rename(fresh, l.path(reserveName)); err != nil {
		return err
	}
	return l.fs.SyncDir(l.dir)
}

func (l *Ledger) setReserve(held bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reserve = held
}
