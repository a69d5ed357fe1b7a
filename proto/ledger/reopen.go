package ledger

import (
	"errors"
	"fmt"
	"os"
)

// Reopen goes on after ErrFailed. It drops what was written but never acknowledged and starts a new segment file; on a ledger
// that works it does nothing. If the new file can't be made, ErrFailed stays and Reopen can be called again. A full disk is not in the
// way: then the next Append says so.
//
// It goes by what it remembers to have flushed and reads nothing back. The new file's first index alone tells later readers where the
// old one ends, so it does no harm if cutting the old one fails too.
func (l *Ledger) Reopen() (Recovery, error) {
	l.take()
	defer l.pass()
	l.mu.Lock()
	cause, closed := l.failed, l.closed
	rec := Recovery{First: l.first(), Next: l.next, Segments: len(l.segments)}
	l.mu.Unlock()
	if closed {
		return rec, fmt.Errorf("reopen ledger %s: %w", l.dir, ErrClosed)
	}
	if cause == nil {
		return rec, nil
	}
	rec.Reason = cause.Error()
	if l.cur != nil {
		rec.TornBytes = max(0, l.attempts-l.current().end)
		rec.Reason += l.abandon()
	}
	err := l.fs.SyncDir(l.dir)
	if err == nil {
		err = l.rotate(l.o.SegmentSize)
	}
	if err != nil && !noSpace(err) {
		return rec, fmt.Errorf("reopen ledger: %w", l.problem("new segment", ErrFailed, err))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = nil
	rec.First, rec.Segments = l.first(), len(l.segments)
	return rec, nil
}

// abandon closes the current file and cuts it after the last acknowledged entry. It returns what to add to the reason if that failed.
//
//	close, openat(SEGMENT, O_RDWR|O_CLOEXEC)
//	ftruncate(SEGMENT, end of the last acknowledged entry)
//	fsync, close
func (l *Ledger) abandon() string {
	s := l.current()
	_ = l.cur.Close() // its error is the one being handled
	l.cur = nil
	f, err := l.fs.OpenFile(s.path, os.O_RDWR, 0)
	if err == nil {
		err = errors.Join(f.Truncate(s.end), f.Sync(), f.Close())
	}
	if err != nil {
		return "; cut: " + err.Error()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.size = s.end
	return ""
}
