package ledger

import (
	"errors"
	"fmt"
	"io/fs"
)

// TrimBefore drops the oldest segments as long as all their entries are before i. The segment with the newest entry stays in any case, so
// that Last and the next index survive. What was dropped before an error stays dropped. If the directory can't be flushed that is
// ErrFailed, for Append too: a later removal might reach the disk before an earlier one.
//
//	unlinkat(SEGMENT)
//	openat(DIR), fsync, close    after each: a crash must not leave a hole
func (l *Ledger) TrimBefore(i Index) error {
	l.take()
	defer l.pass()
	for {
		s, err := l.trimmable(i)
		if s == nil {
			return err
		}
		if err := l.fs.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("trim ledger: %w", err)
		}
		l.mu.Lock()
		l.segments = l.segments[1:]
		l.mu.Unlock()
		if err := l.fs.SyncDir(l.dir); err != nil {
			return fmt.Errorf("trim ledger: %w", l.fail(l.problem("flush", ErrFailed, err)))
		}
	}
}

// trimmable returns the oldest segment if it may go.
func (l *Ledger) trimmable(i Index) (*segment, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, fmt.Errorf("trim ledger %s: %w", l.dir, ErrClosed)
	}
	if l.failed != nil {
		return nil, fmt.Errorf("trim ledger: %w", l.failed)
	}
	if len(l.segments) < 2 {
		return nil, nil
	}
	s := l.segments[0]
	if s.next > i || s.next > l.last.Index {
		return nil, nil
	}
	return s, nil
}
