package ledger

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
)

// readChunk is how much is read from a segment at a time.
const readChunk = 64 << 10

// Entries yields the entries from index from on, or from the oldest kept if that is later, up to the newest that was durable when
// the iteration began. It may run while others append and trim; an entry trimmed before it was reached is ErrTrimmed. Damage is
// ErrCorrupt. After an error the iteration ends.
func (l *Ledger) Entries(from Index) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for _, s := range l.snapshot(from) {
			if !l.readEntries(&s, from, yield) {
				return
			}
		}
	}
}

// snapshot copies what readers need of the segments that hold entries from index from on.
func (l *Ledger) snapshot(from Index) []segment {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []segment
	for _, s := range l.segments {
		if s.next > from && s.next > s.first {
			list = append(list, *s)
		}
	}
	return list
}

// readEntries yields the entries of one segment; false if the iteration is over.
func (l *Ledger) readEntries(s *segment, from Index, yield func(Entry, error) bool) bool {
	f, err := l.fs.OpenFile(s.path, os.O_RDONLY, 0)
	if err != nil {
		yield(Entry{}, l.readError(s, s.find(from), err))
		return false
	}
	defer f.Close()
	m := s.find(from)
	var buf []byte
	for m.index < s.next {
		fr, ok := parseFrame(buf)
		if !ok {
			if buf, err = readMore(f, buf, m.at, s.end); err != nil {
				yield(Entry{}, l.readError(s, m, err))
				return false
			}
			if fr, ok = parseFrame(buf); !ok || fr.index != m.index {
				yield(Entry{}, l.readError(s, m, errBadFrame))
				return false
			}
		}
		buf = buf[fr.size:]
		if m.index >= from && !yield(Entry{fr.index, fr.data}, nil) {
			return false
		}
		m.index++
		m.at += fr.size
	}
	return true
}

// readMore returns a new buffer with the bytes from offset at on: a chunk, or the whole frame that starts there if it is larger. Data
// that was yielded aliases the old one, so it is not used again.
func readMore(f File, have []byte, at, end int64) ([]byte, error) {
	want := max(readChunk, frameLen(have))
	for {
		buf := make([]byte, min(want, end-at))
		n, err := readFull(f, buf, at)
		if err != nil {
			return nil, err
		}
		if n < len(buf) {
			return nil, io.ErrUnexpectedEOF
		}
		size := frameLen(buf)
		if size <= int64(len(buf)) || size > end-at {
			return buf, nil
		}
		want = size
	}
}

// readFull reads until buf is full or the file ends.
func readFull(f File, buf []byte, at int64) (int, error) {
	n := 0
	for n < len(buf) {
		m, err := f.ReadAt(buf[n:], at+int64(n))
		n += m
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// readError tells damage from a disk that doesn't answer, and both from a file that TrimBefore has removed.
func (l *Ledger) readError(s *segment, m mark, err error) error {
	e := &Error{Op: "read", Path: s.path, Offset: m.at, Index: m.index, Kind: ErrCorrupt, Err: err}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if first, _ := l.Bounds(); first >= s.next {
			e.Kind = ErrTrimmed
		}
	case !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, errBadFrame):
		return fmt.Errorf("read ledger %s at offset %d (entry %d): %w", s.path, m.at, m.index, err)
	}
	return e
}

var errBadFrame = errors.New("bad frame")
