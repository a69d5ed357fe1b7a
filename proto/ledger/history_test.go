package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tapline/proto/ledger"
	"tapline/proto/ledger/ledgertest"
)

const dir = "/var/journal"

// small makes every kind of file turn over within a few dozen entries. Its clock goes on by a second each time it is asked.
func small(d ledger.FS) ledger.Options {
	var now atomic.Int64
	return ledger.Options{
		FS: d, SegmentSize: 8192, MaxEntry: 1024, Reserve: 8192,
		Now: func() time.Time { return time.Unix(now.Add(1), 0) },
	}
}

// history is what a caller of a ledger knows: what was acknowledged under which index, and what it was never told about.
type history struct {
	acked   map[ledger.Index]string
	unknown []call
	trimmed ledger.Index // entries before it may be gone
}

// call is the entries of one Append.
type call []string

func newHistory() *history { return &history{acked: map[ledger.Index]string{}} }

func (h *history) ack(first ledger.Index, c call) {
	for i, s := range c {
		h.acked[first+ledger.Index(i)] = s
	}
}

func (c call) bytes() [][]byte {
	var b [][]byte
	for _, s := range c {
		b = append(b, []byte(s))
	}
	return b
}

// newCall makes one to three entries that no other call has.
func newCall(rng *rand.Rand, id string) call {
	c := make(call, 1+rng.IntN(3))
	for i := range c {
		c[i] = fmt.Sprintf("%s.%d/%d ", id, i, len(c)) + strings.Repeat("x", rng.IntN(700))
	}
	return c
}

// read collects a ledger's entries and checks that the indexes have no gap.
func read(l *ledger.Ledger) (map[ledger.Index]string, error) {
	got := map[ledger.Index]string{}
	first, next := l.Bounds()
	want := first
	for e, err := range l.Entries(0) {
		if err != nil {
			return got, err
		}
		if e.Index != want {
			return got, fmt.Errorf("entry %d where %d was due", e.Index, want)
		}
		want++
		got[e.Index] = string(e.Data)
	}
	if want != next {
		return got, fmt.Errorf("entries end before %d, bounds say %d", want, next)
	}
	if last, ok := l.Last(); ok && want > first && (last.Index != want-1 || string(last.Data) != got[want-1]) {
		return got, fmt.Errorf("Last says entry %d, entries end with %d", last.Index, want-1)
	}
	return got, nil
}

// check compares what a ledger holds with what its caller knows: all acknowledged entries under their indexes, nothing twice, calls
// whole, and besides only calls of unknown fate.
func (h *history) check(l *ledger.Ledger) error {
	got, err := read(l)
	if err != nil {
		return err
	}
	first, next := l.Bounds()
	if first > max(1, h.trimmed) {
		return fmt.Errorf("starts at %d, only entries before %d may be gone", first, h.trimmed)
	}
	for i, s := range h.acked {
		if i >= first && got[i] != s {
			return fmt.Errorf("acknowledged entry %d is lost: got %.20q, want %.20q", i, got[i], s)
		}
	}
	count := map[string]int{}
	for i := first; i < next; i++ {
		if count[got[i]]++; count[got[i]] > 1 {
			return fmt.Errorf("entry %d is there twice: %.20q", i, got[i])
		}
		if _, ok := h.acked[i]; !ok && !h.mayHold(got, i) {
			return fmt.Errorf("entry %d was never appended whole: %.20q", i, got[i])
		}
	}
	return nil
}

// mayHold says whether entry i is part of a call of unknown fate that is there as a whole.
func (h *history) mayHold(got map[ledger.Index]string, i ledger.Index) bool {
	for _, c := range h.unknown {
		for j, s := range c {
			if s == got[i] {
				return wholeAt(got, i-ledger.Index(j), c)
			}
		}
	}
	return false
}

func wholeAt(got map[ledger.Index]string, at ledger.Index, c call) bool {
	for j, s := range c {
		if got[at+ledger.Index(j)] != s {
			return false
		}
	}
	return true
}

// survive cuts the power of d in several ways and checks what each leaves.
func (h *history) survive(t *testing.T, d *ledgertest.Disk, rng *rand.Rand, times int) {
	t.Helper()
	for n := range times {
		keep := []float64{0, 1, 0.5, rng.Float64()}[n%4]
		if err := h.reopened(d.Crash(rng, keep), rng); err != nil {
			t.Fatalf("power cut %d, each step kept with %.2f: %v", n, keep, err)
		}
	}
}

// reopened opens a disk after a crash, checks it, and does it again after appending and one more power cut that keeps only what was
// flushed: whatever Open showed must be durable by then.
func (h *history) reopened(d *ledgertest.Disk, rng *rand.Rand) error {
	l, _, err := ledger.Open(dir, small(d))
	if err != nil {
		return err
	}
	if err := h.check(l); err != nil {
		return err
	}
	after := newHistory()
	after.trimmed = h.trimmed
	if after.acked, err = read(l); err != nil {
		return err
	}
	if err := after.survives(d.Crash(rng, 0)); err != nil {
		return fmt.Errorf("second power cut right after opening: %w", err)
	}
	for n := range 3 {
		c := newCall(rng, fmt.Sprintf("after%d", n))
		first, err := l.Append(context.Background(), c.bytes()...)
		if err != nil {
			return err
		}
		after.ack(first, c)
	}
	if err := after.survives(d.Crash(rng, 0)); err != nil {
		return fmt.Errorf("second power cut after appending: %w", err)
	}
	return nil
}

func (h *history) survives(d *ledgertest.Disk) error {
	l, _, err := ledger.Open(dir, small(d))
	if err != nil {
		return err
	}
	return errors.Join(h.check(l), l.Close())
}
