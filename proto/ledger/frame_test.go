package ledger

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// image builds the bytes of a segment whose first entry is first from writes, each a list of calls, each a list of entries.
func image(first Index, size int, writes ...[][]string) []byte {
	b := make([]byte, dataStart, size)
	copy(b, encodeHeader(first, time.Unix(0, 0)))
	for _, calls := range writes {
		start := first
		for _, entries := range calls {
			for i, e := range entries {
				b = appendFrame(b, first, uint32(first-start), uint32(len(entries)-1-i), []byte(e))
				first++
			}
		}
	}
	return b[:size]
}

func TestScan(t *testing.T) {
	const size = dataStart + 1024
	one, two := [][]string{{"alpha"}, {"beta", "gamma"}}, [][]string{{"delta"}}
	const frame = minFrame // each of these entries fits into 8 bytes
	tests := []struct {
		name   string
		limit  Index
		damage func(b []byte)
		next   Index
		kind   DamageKind
	}{
		{name: "a clean end", next: 14},
		{name: "a torn last write is cut", damage: func(b []byte) { b[dataStart+3*frame+25]++ }, next: 13, kind: Torn},
		{name: "a call of which the end is missing is cut whole", damage: func(b []byte) { clear(b[dataStart+2*frame:]) }, next: 11, kind: Torn},
		{name: "sectors of one write in any order: the first call is bad, the second good", damage: func(b []byte) {
			clear(b[dataStart : dataStart+frame])
			clear(b[dataStart+3*frame:])
		}, next: 10, kind: Torn},
		{name: "a good later write proves damage", damage: func(b []byte) { b[dataStart+frame+25]++ }, next: 11, kind: Corrupt},
		{name: "zeros in the middle are damage too", damage: func(b []byte) { clear(b[dataStart : dataStart+3*frame]) }, next: 10, kind: Corrupt},
		{name: "a broken length in the middle is damage", damage: func(b []byte) { b[dataStart+2]++ }, next: 10, kind: Corrupt},
		{name: "one bit of padding counts", damage: func(b []byte) { b[dataStart+31] ^= 1 }, next: 10, kind: Corrupt},
		{name: "a broken header", damage: func(b []byte) { b[17]++ }, next: 10, kind: Corrupt},
		{name: "the next file starts right after", limit: 14, next: 14},
		{name: "the next file replaces the last write", limit: 13, next: 13, kind: Superseded},
		{name: "the next file replaces a write of which nothing is left", limit: 13, damage: func(b []byte) { clear(b[dataStart+3*frame:]) }, next: 13},
		{name: "entries before the next file are missing", limit: 20, next: 14, kind: Missing},
		{name: "a torn end before the next file is damage", limit: 14, damage: func(b []byte) { b[dataStart+3*frame+25]++ }, next: 13, kind: Corrupt},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := image(10, size, one, two)
			if test.damage != nil {
				test.damage(b)
			}
			c := scan(b, 10, test.limit)
			if diff := cmp.Diff([]any{test.next, test.kind}, []any{c.next, c.kind}); diff != "" {
				t.Errorf("next entry and kind of damage (-want +got):\n%s%s", diff, c.reason)
			}
		})
	}
}

// TestStaleFrames: what is left of a torn write must not come to life behind a new one of the same shape.
func TestStaleFrames(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, segmentName(1))
	b := image(1, dataStart+8192, [][]string{{"old one"}, {"old two"}, {"old 3"}})
	clear(b[dataStart : dataStart+minFrame])
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	l, rec, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if rec.TornBytes == 0 || rec.Next != 1 {
		t.Errorf("recovery %+v; want torn bytes and no entry", rec)
	}
	if _, err := l.Append(t.Context(), []byte("new one")); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if b, err = os.ReadFile(name); err != nil {
		t.Fatal(err)
	}
	if c := scan(b, 1, 0); c.next != 2 || string(c.last) != "new one" || c.tail != 0 {
		t.Errorf("next entry %d, last %q, tail %d; want the new one and zeros", c.next, c.last, c.tail)
	}
}

// FuzzScan holds two laws. Whatever the bytes, scan yields only frames whose checksum holds, in order, and what it accepts encodes back
// to the same bytes.
func FuzzScan(f *testing.F) {
	good := image(1, dataStart+512, [][]string{{"a"}, {"b", "c"}}, [][]string{{"d"}})
	f.Add(good, uint64(1), uint64(0))
	f.Add(good[:dataStart+40], uint64(1), uint64(3))
	f.Add([]byte("TAPLEDGR"), uint64(1), uint64(0))
	f.Fuzz(func(t *testing.T, body []byte, first, limit uint64) {
		if len(body) > 1<<20 {
			return
		}
		b := append(encodeHeader(Index(first), time.Unix(0, 0)), make([]byte, dataStart-headerSize)...)
		b = append(b, body...)
		c := scan(b, Index(first), Index(limit))
		if c.end > int64(len(b)) || c.end+c.tail > int64(len(b)) {
			t.Fatalf("end %d and tail %d of %d bytes", c.end, c.tail, len(b))
		}
		i := Index(first)
		for at := int64(dataStart); at < c.end; i++ {
			fr, ok := parseFrame(b[at:])
			if !ok || fr.index != i {
				t.Fatalf("entry %d at offset %d accepted, but its frame is bad", i, at)
			}
			again := appendFrame(nil, fr.index, fr.back, fr.more, fr.data)
			if !bytes.Equal(again, b[at:at+fr.size]) {
				t.Fatalf("entry %d encodes to other bytes", i)
			}
			at += fr.size
		}
		if i != c.next {
			t.Fatalf("entries end before %d, scan says %d", i, c.next)
		}
		salvage(b, c.end, c.next, Index(limit))
	})
}

// FuzzRoundTrip: what was appended reads back, and a changed byte never reads as an entry.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("record"), []byte("another"), uint16(3), byte(1))
	f.Fuzz(func(t *testing.T, one, two []byte, at uint16, change byte) {
		if len(one) == 0 || len(two) == 0 {
			return
		}
		b := image(7, dataStart+int(frameSize(len(one))+frameSize(len(two)))+64, [][]string{{string(one), string(two)}})
		if c := scan(b, 7, 0); c.next != 9 || !bytes.Equal(c.last, two) {
			t.Fatalf("next entry %d, last %q; want 9 and %q", c.next, c.last, two)
		}
		used := frameSize(len(one)) + frameSize(len(two))
		if change == 0 {
			return
		}
		b[dataStart+int64(at)%used] ^= change
		if c := scan(b, 7, 0); c.next != 7 || c.kind != Torn {
			t.Fatalf("a changed byte left entries up to %d, kind %q", c.next, c.kind)
		}
	})
}

// TestHuntIsBounded: a file full of frames that look good but for their checksum must not take for ever.
func TestHuntIsBounded(t *testing.T) {
	b := image(1, dataStart+1<<20)
	for at := dataStart; at+minFrame <= len(b); at += frameAlign * 2 {
		binary.LittleEndian.PutUint32(b[at:], uint32(len(b)-at-frameHead-8))
		binary.LittleEndian.PutUint64(b[at+8:], 2)
	}
	if c := scan(b, 1, 0); c.kind != Corrupt {
		t.Errorf("kind %q, want corrupt: nobody can tell what happened here", c.kind)
	}
}

// TestUnitsCountDown: frames that follow each other but don't agree on where their call ends are not one call.
func TestUnitsCountDown(t *testing.T) {
	b := image(1, dataStart)
	b = appendFrame(b, 1, 0, 1, []byte("a"))
	b = appendFrame(b, 2, 1, 1, []byte("b"))
	b = appendFrame(b, 3, 2, 0, []byte("c"))
	if c := scan(b, 1, 0); c.next != 1 || c.kind != Torn {
		t.Errorf("next entry %d, kind %q; want none and torn", c.next, c.kind)
	}
}

// TestLeftovers: files that were being made when the process ended must not take space for ever.
func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"segment.new", "reserve.new"} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, 100), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, _, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	left, err := filepath.Glob(filepath.Join(dir, "*.new"))
	if err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"lock", "reserve", "1.seg", "00000000000000000000.seg", "0000000000000000000a.seg", "segment.new", ".seg"} {
		if _, _, ok := parseName(name); ok {
			t.Errorf("%q is taken for a segment", name)
		}
	}
	for _, first := range []Index{1, 255, 1 << 63} {
		for _, suffix := range []string{"", quarantineSuffix} {
			got, quarantined, ok := parseName(segmentName(first) + suffix)
			if want := fmt.Sprint(first, suffix != "", true); fmt.Sprint(got, quarantined, ok) != want {
				t.Errorf("%s: %v %v %v, want %s", segmentName(first)+suffix, got, quarantined, ok, want)
			}
		}
	}
}
