package ledger_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"tapline/proto/ledger"
	"tapline/proto/ledger/ledgertest"
)

// TestFullDisk fills a disk, closes what is open from the reserve, and makes space again.
func TestFullDisk(t *testing.T) {
	d := ledgertest.NewDisk(4 * 8192)
	l := open(t, dir, small(d))
	if s := l.Stats(); s.Reserve != ledger.ReserveHeld {
		t.Fatalf("reserve %s, want held", s.Reserve)
	}
	filler := []byte(strings.Repeat("x", 900))
	n := fill(t, l, filler)
	if n < 12 {
		t.Errorf("full after %d entries, want three segments of four", n)
	}
	if s := l.Stats(); s.Failed != nil || s.Reserve != ledger.ReserveHeld {
		t.Errorf("stats %+v; a full disk is no failure and Append leaves the reserve alone", s)
	}

	closing := []byte(strings.Repeat("c", 900))
	if _, err := l.AppendReserved(t.Context(), closing); err != nil {
		t.Fatalf("a closing entry doesn't fit on a full disk: %v", err)
	}
	if s := l.Stats(); s.Reserve != ledger.ReserveUsed {
		t.Errorf("reserve %s, want used", s.Reserve)
	}
	_, err := l.Append(t.Context(), []byte("tiny"))
	wantError(t, err, ledger.ErrFull)
	for err == nil || n < 100 {
		n++
		if _, err = l.AppendReserved(t.Context(), closing); err != nil {
			break
		}
	}
	wantError(t, err, ledger.ErrFull)

	l.Close()
	l = open(t, dir, small(d)) // a full disk must not keep anybody from opening
	_, err = l.Append(t.Context(), []byte("tiny"))
	wantError(t, err, ledger.ErrFull)

	_, next := l.Bounds()
	if err := l.TrimBefore(next); err != nil {
		t.Fatal(err)
	}
	for tries := 0; ; tries++ {
		if _, err = l.Append(t.Context(), []byte("again")); err == nil {
			break
		}
		if !errors.Is(err, ledger.ErrFull) || tries > 20 {
			t.Fatalf("with space again: %v", err)
		}
	}
	if s := l.Stats(); s.Reserve != ledger.ReserveHeld {
		t.Errorf("reserve %s with space again, want held", s.Reserve)
	}
	if i := add(t, l, "and again"); i != next+1 {
		t.Errorf("index %d, want %d", i, next+1)
	}
}

// fill appends until the disk is full.
func fill(t *testing.T, l *ledger.Ledger, data []byte) int {
	t.Helper()
	for n := range 1000 {
		_, err := l.Append(t.Context(), data)
		if errors.Is(err, ledger.ErrFull) {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("the disk is never full")
	return 0
}

// TestFullDiskCrashes cuts the power at every step of filling a disk and closing from the reserve.
func TestFullDiskCrashes(t *testing.T) {
	run := func(d *ledgertest.Disk) (h *history) {
		h = newHistory()
		l, _, err := ledger.Open(dir, small(d))
		for n := 0; err == nil; n++ {
			c := call{fmt.Sprintf("%d %s", n, strings.Repeat("x", 900))}
			var first ledger.Index
			if first, err = l.Append(t.Context(), c.bytes()...); errors.Is(err, ledger.ErrFull) {
				first, err = l.AppendReserved(t.Context(), c.bytes()...)
			}
			if err == nil {
				h.ack(first, c)
			} else {
				h.unknown = append(h.unknown, c)
			}
		}
		return h
	}
	const capacity = 4 * 8192
	whole := ledgertest.NewDisk(capacity)
	run(whole)
	for n := 1; n <= whole.Steps(); n++ {
		for _, kept := range []bool{false, true} {
			d := ledgertest.NewDisk(capacity)
			d.Inject(once(n, kept, errors.New("power cut"), giveUp))
			h := run(d)
			d.Kill()
			d.SetCapacity(0)
			h.survive(t, d, newRand(n), 8)
		}
	}
}

// TestNoReserve: without one, Append may use all there is.
func TestNoReserve(t *testing.T) {
	o := small(ledgertest.NewDisk(2 * 8192))
	o.Reserve = -1
	l := open(t, dir, o)
	if n := fill(t, l, []byte(strings.Repeat("x", 900))); n != 8 {
		t.Errorf("full after %d entries, want 8 in two segments", n)
	}
	if s := l.Stats(); s.Reserve != ledger.ReserveNone {
		t.Errorf("reserve %s, want none", s.Reserve)
	}
}
