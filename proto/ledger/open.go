package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Recovery says what Open or Reopen found and cut.
type Recovery struct {
	First, Next     Index    // bounds after recovery
	Segments        int      // files read
	TornBytes       int64    // of an unfinished, unacknowledged write, cut off the end
	DroppedSegments []string // files put aside because of Options.Quarantine
	Reason          string   // what was wrong, empty after a clean end
}

// Open opens the ledger in dir, which it creates with rights for the owner only, and takes its lock. It reads every segment and
// cuts an unfinished write off the end. Errors to match: ErrLocked, ErrCorrupt, ErrRights.
//
// The good bytes of the last segment are written and flushed once more, as they are. If a process died after a failed flush, they may
// be nowhere but in the page cache, and an entry that Open shows must be as durable as one that Append acknowledged.
func Open(dir string, o Options) (*Ledger, Recovery, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, Recovery{}, fmt.Errorf("open ledger %s: %w", dir, err)
	}
	l := &Ledger{dir: dir, o: o, fs: o.FS, turn: make(chan struct{}, 1)}
	l.requests.New = func() any { return &request{done: make(chan struct{}, 1)} }
	if err := makeDir(l.fs, dir); err != nil {
		return nil, Recovery{}, fmt.Errorf("open ledger %s: %w", dir, err)
	}
	if l.lock, err = l.fs.Lock(l.path(lockName)); err != nil {
		return nil, Recovery{}, fmt.Errorf("open ledger %s: %w", dir, err)
	}
	rec, err := l.recover()
	if noSpace(err) {
		err = l.problem("recover", ErrFull, err)
	}
	if err == nil {
		err = l.holdReserve()
	}
	if err != nil {
		if l.cur != nil {
			err = errors.Join(err, l.cur.Close())
		}
		return nil, rec, fmt.Errorf("open ledger: %w", errors.Join(err, l.lock.Close()))
	}
	return l, rec, nil
}

// recover reads the directory, as often as it takes to put all damaged files aside.
func (l *Ledger) recover() (Recovery, error) {
	var rec Recovery
	if err := l.sweep(); err != nil {
		return rec, err
	}
	for {
		list, err := listSegments(l.fs, l.dir)
		if err != nil {
			return rec, err
		}
		found, err := l.load(list)
		if err == nil {
			return l.finishRecovery(rec, list, found)
		}
		var bad *Error
		if !l.o.Quarantine || !errors.As(err, &bad) || !errors.Is(err, ErrCorrupt) {
			return rec, err
		}
		aside, err := l.quarantine(bad, found.kind)
		if err != nil {
			return rec, err
		}
		rec.DroppedSegments = append(rec.DroppedSegments, aside)
		rec.Reason = bad.Error()
	}
}

// sweep removes what was being made when the process ended.
func (l *Ledger) sweep() error {
	for _, name := range []string{"segment" + newSuffix, reserveName + newSuffix} {
		if err := l.fs.Remove(l.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// quarantine puts a damaged file aside under a name that still tells which entries were in it. Where files are missing, an empty one
// takes their place.
//
//	renameat(NAME, NAME".quarantined")   or openat(NAME".quarantined", O_CREAT)
//	openat(DIR), fsync, close
func (l *Ledger) quarantine(bad *Error, kind DamageKind) (string, error) {
	aside := bad.Path + quarantineSuffix
	var err error
	if kind == Missing {
		aside = l.path(segmentName(bad.Index) + quarantineSuffix)
		var f File
		if f, err = l.fs.OpenFile(aside, os.O_RDWR|os.O_CREATE, 0o600); err == nil {
			err = f.Close()
		}
	} else {
		err = l.fs.Rename(bad.Path, aside)
	}
	if err != nil {
		return "", err
	}
	return aside, l.fs.SyncDir(l.dir)
}

// listed is a segment file as its name tells.
type listed struct {
	path        string
	first       Index
	quarantined bool
}

// listSegments returns the segment files of dir in order.
func listSegments(fsys FS, dir string) ([]listed, error) {
	names, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var list []listed
	for _, n := range names {
		if first, quarantined, ok := parseName(n.Name()); ok {
			list = append(list, listed{filepath.Join(dir, n.Name()), first, quarantined})
		}
	}
	slices.SortFunc(list, func(a, b listed) int {
		return strings.Compare(filepath.Base(a.path), filepath.Base(b.path))
	})
	return list, nil
}

// load scans all segments and fills the ledger's list of them. It returns what is in the last one.
func (l *Ledger) load(list []listed) (c content, err error) {
	l.segments, l.next, l.last = nil, 1, Entry{}
	var buf []byte
	for i, f := range list {
		c = content{kind: Corrupt}
		if buf, err = readSegment(l.fs, f.path, buf); err != nil {
			return c, err
		}
		if f.quarantined {
			l.next = max(l.next, f.first+Index(len(buf)/minFrame)+1)
			continue
		}
		var limit Index
		if i+1 < len(list) {
			limit = list[i+1].first
		}
		c = scan(buf, f.first, limit)
		c.path = f.path
		if c.kind == Corrupt || c.kind == Missing {
			return c, &Error{Op: "recover", Path: f.path, Offset: c.end, Index: c.next, Kind: ErrCorrupt, Err: errors.New(c.reason)}
		}
		s := c.segment
		l.segments = append(l.segments, &s)
		l.next = s.next
		if s.next > s.first {
			l.last = Entry{s.next - 1, slices.Clone(c.last)}
		}
	}
	return c, nil
}

// finishRecovery makes the end of the last segment writable.
func (l *Ledger) finishRecovery(rec Recovery, list []listed, c content) (Recovery, error) {
	rec.Segments, rec.First, rec.Next = len(l.segments), l.first(), l.next
	if len(list) == 0 {
		return rec, nil
	}
	if list[len(list)-1].quarantined {
		// The entries that went with the file keep their indexes: go on behind them.
		return rec, l.rotate(l.o.SegmentSize)
	}
	if c.kind == Torn {
		rec.TornBytes, rec.Reason = c.tail, c.reason
	}
	var err error
	l.cur, err = l.fs.OpenFile(c.path, os.O_RDWR, 0)
	if err != nil {
		return rec, err
	}
	return rec, l.rewrite(c.bytes[:c.end+c.tail], c.end)
}

// rewrite writes what Open read from the last segment once more, and zeros over the part after end.
//
//	pwrite64 of the good frames as they are
//	pwrite64 of zeros over the torn ones
//	fsync
func (l *Ledger) rewrite(b []byte, end int64) error {
	clear(b[end:])
	if _, err := l.cur.WriteAt(b[dataStart:], dataStart); err != nil {
		return &Error{Op: "recover", Path: l.current().path, Offset: end, Index: l.next, Kind: ErrFailed, Err: err}
	}
	if err := l.cur.Sync(); err != nil {
		return &Error{Op: "recover", Path: l.current().path, Offset: end, Index: l.next, Kind: ErrFailed, Err: err}
	}
	return nil
}

// readSegment reads a whole file into buf, which it grows.
func readSegment(fsys FS, path string, buf []byte) ([]byte, error) {
	f, err := fsys.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return buf[:0], err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return buf[:0], &fs.PathError{Op: "size", Path: path, Err: err}
	}
	if size > maxSegment {
		return buf[:0], &Error{Op: "read", Path: path, Kind: ErrCorrupt, Err: fmt.Errorf("%d bytes is no segment", size)}
	}
	buf = slices.Grow(buf[:0], int(size))[:size]
	n, err := readFull(f, buf, 0)
	return buf[:n], err
}
