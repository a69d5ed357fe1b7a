package ledger_test

import (
	"strings"
	"syscall"
	"testing"

	"tapline/proto/ledger"
	"tapline/proto/ledger/ledgertest"
)

// onCall makes the next call of a kind fail.
func onCall(name string, cause error, kept bool) func(ledgertest.Step) *ledgertest.Fault {
	done := false
	return func(s ledgertest.Step) *ledgertest.Fault {
		if done || s.Call != name {
			return nil
		}
		done = true
		return &ledgertest.Fault{Err: cause, Kept: kept}
	}
}

// TestAnUnsettledSegmentIsAFailure: if a new segment may have got its name, going on in the old one would lose what is
// acknowledged there, even if the reason was a full disk and the next entry would fit.
func TestAnUnsettledSegmentIsAFailure(t *testing.T) {
	for _, name := range []string{"rename", "syncdir"} {
		t.Run(name, func(t *testing.T) {
			d := ledgertest.NewDisk(0)
			l := open(t, dir, small(d))
			for range 4 {
				add(t, l, strings.Repeat("x", 900))
			}
			d.Inject(onCall(name, syscall.ENOSPC, true))
			_, err := l.Append(t.Context(), make([]byte, 1000))
			wantError(t, err, ledger.ErrFailed, syscall.ENOSPC)
			_, err = l.Append(t.Context(), []byte("small enough for the old segment"))
			wantError(t, err, ledger.ErrFailed)
			if _, err := l.Reopen(); err != nil {
				t.Fatal(err)
			}
			if i := add(t, l, "small"); i != 5 {
				t.Errorf("index %d, want 5", i)
			}
			d = d.Crash(newRand(1), 1)
			l = open(t, dir, small(d))
			wantEntries(t, l.Entries(5), "5:small")
		})
	}
}

// TestLastSurvivesReopenAndTrim: the segment that Reopen starts is empty, so the one before holds the newest entry and stays.
func TestLastSurvivesReopenAndTrim(t *testing.T) {
	d := ledgertest.NewDisk(0)
	l := open(t, dir, small(d))
	add(t, l, "a")
	d.Inject(onCall("datasync", syscall.EIO, false))
	_, err := l.Append(t.Context(), []byte("b"))
	wantError(t, err, ledger.ErrFailed)
	if _, err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	if err := l.TrimBefore(1000); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if last, ok := open(t, dir, small(d)).Last(); !ok || string(last.Data) != "a" {
		t.Errorf("last entry %d %q, %t; want a", last.Index, last.Data, ok)
	}
}

// TestTrimLeavesNoHole: the removal of a file must not reach the disk before that of an older one, also if flushing the directory
// failed in between and the disk is full, so that Reopen makes no file.
func TestTrimLeavesNoHole(t *testing.T) {
	for seed := range 32 {
		d := ledgertest.NewDisk(0)
		l := open(t, dir, small(d))
		for range 12 {
			add(t, l, strings.Repeat("x", 900))
		}
		d.SetCapacity(1)
		d.Inject(onCall("syncdir", syscall.EIO, false))
		wantError(t, l.TrimBefore(100), ledger.ErrFailed)
		if _, err := l.Reopen(); err != nil {
			t.Fatal(err)
		}
		d.Inject(onCall("syncdir", syscall.EIO, false))
		wantError(t, l.TrimBefore(100), ledger.ErrFailed)
		after := d.Crash(newRand(seed), 0.5)
		after.SetCapacity(0)
		open(t, dir, small(after))
	}
}
