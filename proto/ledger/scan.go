package ledger

import "fmt"

// DamageKind says what is wrong with a stretch of a ledger.
type DamageKind string

// The kinds of damage. Only Corrupt and Missing mean that something acknowledged is gone.
const (
	Torn        DamageKind = "torn"        // an unfinished, unacknowledged last write, as power loss leaves it
	Superseded  DamageKind = "superseded"  // a failed, unacknowledged write that Reopen replaced by a new segment
	Corrupt     DamageKind = "corrupt"     // entries that were acknowledged don't read back
	Missing     DamageKind = "missing"     // acknowledged entries are in no file
	Quarantined DamageKind = "quarantined" // a damaged file that Open put aside on request
)

// Damage is a stretch of a file that holds no entries though it should, or that is not empty though it should be.
type Damage struct {
	Path   string
	Offset int64
	Bytes  int64 // 0 if unknown
	Index  Index // the first entry concerned
	Kind   DamageKind
	Reason string
}

// content is what scan found in a segment: frames from first up to next, of whole calls, ending at end.
type content struct {
	segment
	bytes  []byte // all that was scanned
	last   []byte // data of the newest entry, aliases bytes
	kind   DamageKind
	tail   int64 // bytes from end up to the last that is not zero
	reason string
}

// scan reads the bytes of the segment whose first entry is first. limit is the first entry of the file after it, 0 if it is the last. It
// is pure and takes any bytes; damage is reported, not an error.
func scan(b []byte, first, limit Index) content {
	c := content{bytes: b, segment: segment{size: int64(len(b)), first: first, next: first, end: dataStart}}
	if err := checkHeader(b, first); err != nil {
		c.end, c.kind, c.reason = 0, Corrupt, err.Error()
		return c
	}
	var back uint32 // of the frame before
	for c.next != limit {
		unit := parseUnit(b[c.end:], c.next)
		if unit == nil || unit[0].back != 0 && unit[0].back != back+1 {
			break
		}
		back = unit[len(unit)-1].back
		for _, f := range unit {
			c.note(f.index, c.end)
			c.end += f.size
		}
		c.next += Index(len(unit))
		c.last = unit[len(unit)-1].data
	}
	c.tail = lastByte(b[c.end:])
	c.kind, c.reason = judge(b, &c.segment, limit, c.tail)
	return c
}

// parseUnit reads the frames of one Append call, nil if they aren't all there and good.
func parseUnit(b []byte, want Index) []frame {
	f, ok := parseFrame(b)
	if !ok || f.index != want || int64(f.more) > int64(len(b))/minFrame {
		return nil
	}
	unit := make([]frame, 1, 1+f.more)
	unit[0] = f
	for at := f.size; f.more > 0; at += f.size {
		g, ok := parseFrame(b[at:])
		if !ok || g.index != f.index+1 || g.more != f.more-1 || g.back != f.back+1 {
			return nil
		}
		unit, f = append(unit, g), g
	}
	return unit
}

// judge says what the bytes after the last good call mean.
func judge(b []byte, s *segment, limit Index, tail int64) (DamageKind, string) {
	switch {
	case limit != 0 && s.next == limit:
		if tail > 0 {
			return Superseded, "a write that failed and was never acknowledged"
		}
		return "", ""
	case limit != 0 && tail == 0:
		return Missing, fmt.Sprintf("the file after it starts at entry %d", limit)
	case limit != 0:
		return Corrupt, fmt.Sprintf("good entries end before %d, the file after it starts at %d", s.next, limit)
	case tail == 0:
		return "", ""
	}
	h := hunt{b: b, budget: 8 * int64(len(b))}
	for at := s.end; ; {
		found, f, ok := h.next(at, s.next)
		if h.budget < 0 {
			return Corrupt, "too many broken frames to tell what happened"
		}
		if !ok {
			return Torn, "an unfinished last write"
		}
		if f.start() > s.next {
			return Corrupt, fmt.Sprintf("entry %d at offset %d was written after this was flushed", f.index, found)
		}
		at = found + f.size
	}
}

// hunt looks for good frames among bad bytes. The budget bounds the bytes it sums up, so that a crafted file can't keep it busy for
// hours; once it is below zero, nothing more is found.
type hunt struct {
	b      []byte
	budget int64
}

// next finds the first good frame at or after offset at whose index is at least want and possible in a file of this size.
func (h *hunt) next(at int64, want Index) (int64, frame, bool) {
	most := want + Index(len(h.b)/minFrame)
	for ; at+minFrame <= int64(len(h.b)) && h.budget >= 0; at += frameAlign {
		size := frameLen(h.b[at:])
		if size == 0 || size > int64(len(h.b))-at {
			continue
		}
		if i := frameIndex(h.b[at:]); i < want || i > most {
			continue
		}
		h.budget -= size
		if f, ok := parseFrame(h.b[at:]); ok {
			return at, f, true
		}
	}
	return 0, frame{}, false
}

// lastByte returns the offset one after the last byte of b that is not zero.
func lastByte(b []byte) int64 {
	n := len(b)
	for n > 0 && b[n-1] == 0 {
		n--
	}
	return int64(n)
}
