package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
)

// Reader reads a ledger that it doesn't own: a copy at the auditor, or one that an agent is writing to. It takes no lock, writes
// nothing, and reads on behind damage, so that one bad sector doesn't hide all the evidence after it. Its methods may be called
// from any goroutine.
type Reader struct {
	o      Options
	parts  []part
	damage []Damage
}

// part is a segment file and the stretches of good frames in it.
type part struct {
	path string
	runs []run
}

// run is a stretch of good frames.
type run struct {
	at, end     int64
	first, next Index
}

// OpenReader reads the whole ledger in dir once. Damage is no error; ask Reader.Damage.
func OpenReader(dir string, o Options) (*Reader, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("read ledger %s: %w", dir, err)
	}
	for tries := 0; ; tries++ {
		r := &Reader{o: o}
		list, err := listSegments(o.FS, dir)
		if err == nil {
			err = r.survey(list)
		}
		if err == nil {
			return r, nil
		}
		// The owner may trim a file between listing and reading it; a directory that isn't there has no list.
		if list == nil || tries > 10 || !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read ledger: %w", err)
		}
	}
}

func (r *Reader) survey(list []listed) error {
	var buf []byte
	for i, f := range list {
		var err error
		if buf, err = readSegment(r.o.FS, f.path, buf); err != nil && !errors.Is(err, ErrCorrupt) {
			return err
		}
		var limit Index
		if i+1 < len(list) {
			limit = list[i+1].first
		}
		c := scan(buf, f.first, limit)
		r.add(f, &c, buf, limit)
	}
	return nil
}

func (r *Reader) report(d Damage) { r.damage = append(r.damage, d) }

// add notes the good runs of a file and its damage.
func (r *Reader) add(f listed, c *content, b []byte, limit Index) {
	p := part{path: f.path}
	if c.next > c.first {
		p.runs = append(p.runs, run{dataStart, c.end, c.first, c.next})
	}
	if f.quarantined && len(b) == 0 {
		r.report(Damage{Path: f.path, Index: f.first, Kind: Missing, Reason: "noted when the ledger was opened"})
		return
	}
	if f.quarantined {
		r.report(Damage{Path: f.path, Index: f.first, Kind: Quarantined, Reason: "put aside when the ledger was opened"})
	}
	if c.kind != "" {
		r.report(Damage{Path: f.path, Offset: c.end, Bytes: c.tail, Index: c.next, Kind: c.kind, Reason: c.reason})
	}
	if c.kind == Corrupt {
		p.runs = append(p.runs, salvage(b, max(c.end, dataStart), c.next, limit)...)
	}
	r.parts = append(r.parts, p)
}

// salvage finds the good frames behind damage.
func salvage(b []byte, at int64, want, limit Index) []run {
	var runs []run
	h := hunt{b: b, budget: 8 * int64(len(b))}
	for {
		found, f, ok := h.next(at, want)
		if !ok || limit != 0 && f.index >= limit {
			return runs
		}
		n := len(runs)
		if n == 0 || runs[n-1].end != found || runs[n-1].next != f.index {
			runs = append(runs, run{at: found, first: f.index})
			n++
		}
		at, want = found+f.size, f.index+1
		runs[n-1].end, runs[n-1].next = at, want
	}
}

// Damage returns what is wrong with the ledger, in the order of the files. Torn and Superseded are the traces of crashes and faults that
// cost nothing; a ledger that is being written to may show Torn for a write under way.
func (r *Reader) Damage() []Damage { return slices.Clone(r.damage) }

// Bounds returns the indexes of the first entry that can be read and one after the last; both 0 if there is none.
func (r *Reader) Bounds() (first, next Index) {
	for _, p := range r.parts {
		for _, u := range p.runs {
			if first == 0 {
				first = u.first
			}
			next = u.next
		}
	}
	return first, next
}

// Entries yields every entry with a good checksum from index from on, in order, also those behind damage: the caller sees a gap in the
// indexes where Damage reports something. A file that can't be read any more is an error, and the end.
func (r *Reader) Entries(from Index) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for _, p := range r.parts {
			if n := len(p.runs); n == 0 || p.runs[n-1].next <= from {
				continue
			}
			b, err := readSegment(r.o.FS, p.path, nil)
			if err != nil {
				yield(Entry{}, fmt.Errorf("read ledger: %w", err))
				return
			}
			for _, u := range p.runs {
				if !u.yield(p.path, b, from, yield) {
					return
				}
			}
		}
	}
}

func (u run) yield(path string, b []byte, from Index, yield func(Entry, error) bool) bool {
	for at, i := u.at, u.first; i < u.next; i++ {
		f, ok := parseFrame(b[min(at, int64(len(b))):])
		if !ok || f.index != i {
			yield(Entry{}, &Error{Op: "read", Path: path, Offset: at, Index: i, Kind: ErrCorrupt, Err: errors.New("changed while it was read")})
			return false
		}
		if i >= from && !yield(Entry{i, f.data}, nil) {
			return false
		}
		at += f.size
	}
	return true
}
