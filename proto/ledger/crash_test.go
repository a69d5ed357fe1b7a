package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"

	"tapline/proto/ledger"
	"tapline/proto/ledger/ledgertest"
)

// answer is what the process does when the ledger fails.
type answer string

const (
	reopen  answer = "reopens and goes on"
	restart answer = "is killed, restarts and goes on"
	giveUp  answer = "loses power at once"
)

// script is a fixed run of appends, reserved appends and trims that turns segments over several times. It returns what its caller knows.
func script(d *ledgertest.Disk, seed uint64, after answer) (*history, error) {
	rng := rand.New(rand.NewPCG(seed, 1))
	h := newHistory()
	l, err := openAgain(d, after)
	if err != nil {
		return h, err
	}
	for n := range 24 {
		c := newCall(rng, fmt.Sprint(n))
		for {
			first, err := appendTo(l, n, c)
			if err == nil {
				h.ack(first, c)
				break
			}
			if errors.Is(err, ledger.ErrFull) && after != giveUp {
				continue // by contract nothing has changed, so just try again
			}
			if after == giveUp {
				h.unknown = append(h.unknown, c)
				return h, nil
			}
			if l, err = recoverFrom(l, d, after); err != nil {
				return h, err
			}
			if first, ok := find(l, c); ok {
				h.ack(first, c)
				break
			}
		}
		if n%10 == 9 {
			_, next := l.Bounds()
			h.trimmed = next - 3
			if err := l.TrimBefore(h.trimmed); err != nil && after == giveUp {
				return h, nil
			}
		}
	}
	return h, nil
}

func appendTo(l *ledger.Ledger, n int, c call) (ledger.Index, error) {
	if n%5 == 4 {
		return l.AppendReserved(context.Background(), c.bytes()...)
	}
	return l.Append(context.Background(), c.bytes()...)
}

// openAgain opens the ledger, again and again if faults hit that.
func openAgain(d *ledgertest.Disk, after answer) (*ledger.Ledger, error) {
	for tries := 0; ; tries++ {
		l, _, err := ledger.Open(dir, small(d))
		if err == nil || after == giveUp || tries > 50 || errors.Is(err, ledger.ErrCorrupt) {
			return l, err
		}
	}
}

func recoverFrom(l *ledger.Ledger, d *ledgertest.Disk, after answer) (*ledger.Ledger, error) {
	if after == restart {
		d.Kill()
		return openAgain(d, after)
	}
	_, err := l.Reopen()
	for tries := 0; err != nil && tries < 50; tries++ {
		_, err = l.Reopen()
	}
	return l, err
}

// find looks for a call that may have made it although it was reported as failed.
func find(l *ledger.Ledger, c call) (ledger.Index, bool) {
	last, _ := l.Last()
	return last.Index + 1 - ledger.Index(len(c)), string(last.Data) == c[len(c)-1]
}

// once makes step n fail. For giveUp all after it fail too: the process is gone.
func once(n int, kept bool, cause error, after answer) func(ledgertest.Step) *ledgertest.Fault {
	return func(s ledgertest.Step) *ledgertest.Fault {
		switch {
		case s.N == n:
			return &ledgertest.Fault{Err: cause, Kept: kept}
		case s.N > n && after == giveUp:
			return &ledgertest.Fault{Err: cause}
		}
		return nil
	}
}

// TestFaultTable makes each step that changes the disk fail, once with its effect lost and once with it kept, and cuts the power when the
// process has dealt with it.
func TestFaultTable(t *testing.T) {
	whole := ledgertest.NewDisk(0)
	h, err := script(whole, 1, giveUp)
	if err != nil {
		t.Fatal(err)
	}
	h.survive(t, whole, rand.New(rand.NewPCG(1, 1)), 8)
	rows := 0
	for _, row := range []struct {
		cause error
		kept  bool
		after answer
	}{
		{syscall.EIO, false, giveUp},
		{syscall.EIO, false, reopen},
		{syscall.EIO, false, restart},
		{syscall.EIO, true, giveUp},
		{syscall.EIO, true, reopen},
		{syscall.EIO, true, restart},
		{syscall.ENOSPC, false, reopen},
		{syscall.ENOSPC, true, reopen},
	} {
		for n := 1; n <= whole.Steps(); n++ {
			rows++
			d := ledgertest.NewDisk(0)
			d.Inject(once(n, row.kept, row.cause, row.after))
			t.Run(fmt.Sprintf("step %d fails with %v, kept %t, the process %s", n, row.cause, row.kept, row.after), func(t *testing.T) {
				h, err := script(d, 1, row.after)
				if err != nil && row.after != giveUp {
					t.Fatal(err)
				}
				d.Kill()
				h.survive(t, d, rand.New(rand.NewPCG(uint64(n), 2)), 4)
			})
		}
	}
	t.Logf("%d steps, %d rows", whole.Steps(), rows)
}

// TestFaultStorm makes one step in ten fail, also the steps of recovering from a fault, and cuts the power at the end.
func TestFaultStorm(t *testing.T) {
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 4))
		d := ledgertest.NewDisk(0)
		d.Inject(func(s ledgertest.Step) *ledgertest.Fault {
			if s.N == 0 || rng.IntN(10) > 0 {
				return nil
			}
			return &ledgertest.Fault{Err: syscall.EIO, Kept: rng.IntN(2) == 0}
		})
		h, err := script(d, seed, reopen)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		d.Kill()
		h.survive(t, d, rng, 4)
	}
}

// TestRandomCrashes lets four callers append at once, so that writes hold several calls, breaks something at a random step, and cuts
// the power in a random way.
func TestRandomCrashes(t *testing.T) {
	states := 800
	if testing.Short() {
		states = 100
	}
	for seed := range uint64(states) {
		rng := rand.New(rand.NewPCG(seed, 3))
		d := ledgertest.NewDisk(0)
		d.Inject(once(5+rng.IntN(120), rng.IntN(2) == 0, syscall.EIO, giveUp))
		h := crowd(d, seed)
		d.Kill()
		if err := h.reopened(d.Crash(rng, rng.Float64()), rng); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	t.Logf("%d crash states", states)
}

// crowd appends from four goroutines until the ledger fails or all have had enough.
func crowd(d *ledgertest.Disk, seed uint64) *history {
	h := newHistory()
	l, _, err := ledger.Open(dir, small(d))
	if err != nil {
		return h
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	for who := range 4 {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(who)))
			for n := range 20 {
				c := newCall(rng, fmt.Sprintf("%d-%d", who, n))
				first, err := appendTo(l, n, c)
				mu.Lock()
				if err == nil {
					h.ack(first, c)
				} else {
					h.unknown = append(h.unknown, c)
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	all.Wait()
	return h
}
