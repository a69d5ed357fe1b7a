package ledger

import (
	"errors"
	"time"
)

// maxCommit is how many bytes of frames are written at once, more only if one call alone is larger. It bounds the memory and how long
// the first in a long line waits.
const maxCommit = 1 << 20

// commit writes all that is in line. The turn must be held.
func (l *Ledger) commit() {
	l.mu.Lock()
	line := l.queue
	l.queue = nil
	l.mu.Unlock()
	for len(line) > 0 {
		n := l.admit(line)
		if n == 0 {
			if err := l.makeRoom(line[0]); err != nil {
				line = l.refuse(line, err)
			}
			continue
		}
		if err := l.write(line[:n]); err != nil {
			l.refuse(line, l.fail(err))
			return
		}
		l.publish(line[:n])
		line = line[n:]
	}
}

// refuse ends the first request in line with err, or all of them if err is ErrFailed, and returns those that go on.
func (l *Ledger) refuse(line []*request, err error) []*request {
	if !errors.Is(err, ErrFailed) {
		line[0].finish(0, err)
		return line[1:]
	}
	for _, r := range line {
		r.finish(0, err)
	}
	return nil
}

// admit returns how many requests, from the first on, fit into the current segment and one write.
func (l *Ledger) admit(line []*request) int {
	var size int64
	for n, r := range line {
		size += r.size
		if size > l.room(r.reserved) || n > 0 && size > maxCommit {
			return n
		}
	}
	return len(line)
}

// room is how many bytes of frames may go into the current segment. As long as the reserve is not on the disk, as much is kept back
// here for AppendReserved.
func (l *Ledger) room(reserved bool) int64 {
	if l.cur == nil {
		return 0
	}
	s := l.current()
	room := s.size - s.end
	if !reserved && !l.reserve && l.o.Reserve > 0 {
		room -= l.o.Reserve
	}
	return room
}

// write puts the frames of the requests on the disk. The space is already taken and zeroed, so this is one write and one flush
// of data alone:
//
//	pwrite64(SEGMENT, frames)
//	fdatasync(SEGMENT)
func (l *Ledger) write(line []*request) error {
	s := l.current()
	b, index := l.buf[:0], s.next
	for _, r := range line {
		for i, d := range r.data {
			b = appendFrame(b, index, uint32(index-s.next), uint32(len(r.data)-1-i), d)
			index++
		}
	}
	l.buf = b
	l.attempts = s.end + int64(len(b))
	if _, err := l.cur.WriteAt(b, s.end); err != nil {
		return &Error{Op: "write", Path: s.path, Offset: s.end, Index: s.next, Kind: ErrFailed, Err: err}
	}
	began := l.o.Now()
	if err := l.cur.Datasync(); err != nil {
		return &Error{Op: "flush", Path: s.path, Offset: s.end, Index: s.next, Kind: ErrFailed, Err: err}
	}
	l.took(l.o.Now().Sub(began))
	return nil
}

func (l *Ledger) took(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lastSync = d
}

// publish makes what was written visible to readers, then answers the callers.
func (l *Ledger) publish(line []*request) {
	l.mu.Lock()
	s := l.current()
	at, index := s.end, s.next
	for _, r := range line {
		r.index = index
		for _, d := range r.data {
			s.note(index, at)
			index++
			at += frameSize(len(d))
		}
	}
	newest := line[len(line)-1].data
	s.end, s.next, l.next = at, index, index
	l.last.Index = index - 1
	l.last.Data = append(l.last.Data[:0], newest[len(newest)-1]...)
	if l.news != nil {
		close(l.news)
		l.news = nil
	}
	l.mu.Unlock()
	for _, r := range line {
		r.finish(r.index, nil)
	}
}

// fail stops acknowledging: the callers still in line and all that come later get err, until Reopen.
func (l *Ledger) fail(err error) error {
	l.mu.Lock()
	l.failed = err
	waiting := l.queue
	l.queue = nil
	l.mu.Unlock()
	for _, r := range waiting {
		r.finish(0, err)
	}
	return err
}
