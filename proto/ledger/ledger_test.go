package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tapline/proto/ledger"
	"tapline/proto/ledger/ledgertest"
)

func open(t *testing.T, dir string, o ledger.Options) *ledger.Ledger {
	t.Helper()
	l, _, err := ledger.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func add(t *testing.T, l *ledger.Ledger, data ...string) ledger.Index {
	t.Helper()
	i, err := l.Append(t.Context(), call(data).bytes()...)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// list is the entries from an index on as "index:data", cut to 12 bytes, and the error that ended them.
func list(seq func(func(ledger.Entry, error) bool)) (got []string, err error) {
	for e, err := range seq {
		if err != nil {
			return got, err
		}
		got = append(got, fmt.Sprintf("%d:%.12s", e.Index, e.Data))
	}
	return got, nil
}

func wantEntries(t *testing.T, seq func(func(ledger.Entry, error) bool), want ...string) {
	t.Helper()
	got, err := list(seq)
	if err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func wantError(t *testing.T, err error, kinds ...error) {
	t.Helper()
	for _, k := range kinds {
		if !errors.Is(err, k) {
			t.Errorf("error %v; want %v", err, k)
		}
	}
}

func TestWhatWasAppendedReadsBack(t *testing.T) {
	home := filepath.Join(t.TempDir(), "journal")
	l := open(t, home, ledger.Options{})
	if _, ok := l.Last(); ok {
		t.Error("a new ledger has a last entry")
	}
	if i := add(t, l, "a", "b"); i != 1 {
		t.Errorf("first index %d", i)
	}
	if i := add(t, l, "c"); i != 3 {
		t.Errorf("third index %d", i)
	}
	big := strings.Repeat("d", 64<<10)
	add(t, l, big)
	want := []string{"2:b", "3:c", "4:dddddddddddd"}
	wantEntries(t, l.Entries(2), want...)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := l.Append(t.Context(), []byte("late"))
	wantError(t, err, ledger.ErrClosed)

	l, rec, err := ledger.Open(home, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if diff := cmp.Diff(ledger.Recovery{First: 1, Next: 5, Segments: 1}, rec); diff != "" {
		t.Errorf("recovery after a clean end (-want +got):\n%s", diff)
	}
	wantEntries(t, l.Entries(2), want...)
	if last, ok := l.Last(); !ok || last.Index != 4 || string(last.Data) != big {
		t.Errorf("last entry %d of %d bytes", last.Index, len(last.Data))
	}
	r, err := ledger.OpenReader(home, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	wantEntries(t, r.Entries(2), want...)
	if d := r.Damage(); d != nil {
		t.Errorf("damage %v in a good ledger", d)
	}
}

func TestRefusals(t *testing.T) {
	d := ledgertest.NewDisk(0)
	l := open(t, dir, small(d))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	long := make([]byte, 1025)
	tests := []struct {
		name string
		ctx  context.Context
		data [][]byte
		want error
	}{
		{"no entries", t.Context(), nil, ledger.ErrEmpty},
		{"an entry without bytes", t.Context(), [][]byte{[]byte("a"), nil}, ledger.ErrEmpty},
		{"an entry above the limit", t.Context(), [][]byte{long}, ledger.ErrTooLarge},
		{"a call above the size of a segment", t.Context(), [][]byte{long[:1024], long[:1024], long[:1024], long[:1024]}, ledger.ErrTooLarge},
		{"a context that has ended", ended, [][]byte{[]byte("a")}, context.Canceled},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := l.Append(test.ctx, test.data...)
			wantError(t, err, test.want)
		})
	}
	if _, next := l.Bounds(); next != 1 {
		t.Errorf("refused entries took indexes up to %d", next)
	}
}

func TestOneAtATime(t *testing.T) {
	home := t.TempDir()
	l := open(t, home, ledger.Options{})
	_, _, err := ledger.Open(home, ledger.Options{})
	wantError(t, err, ledger.ErrLocked)
	l.Close()
	open(t, home, ledger.Options{})
}

func TestRights(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs: rights in mode bits")
	}
	home := filepath.Join(t.TempDir(), "journal")
	l := open(t, home, ledger.Options{})
	add(t, l, "a")
	l.Close()
	names, err := os.ReadDir(home)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, n := range names {
		info, err := n.Info()
		if err != nil {
			t.Fatal(err)
		}
		got[n.Name()] = fmt.Sprintf("%04o", info.Mode().Perm())
	}
	want := map[string]string{"lock": "0600", "reserve": "0600", "00000000000000000001.seg": "0600"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	for _, mode := range []os.FileMode{0o770, 0o702, 0o720} {
		if err := os.Chmod(home, mode); err != nil {
			t.Fatal(err)
		}
		_, _, err := ledger.Open(home, ledger.Options{})
		wantError(t, err, ledger.ErrRights)
	}
}

func TestTrimKeepsTheNewestEntry(t *testing.T) {
	d := ledgertest.NewDisk(0)
	l := open(t, dir, small(d))
	for n := range 20 {
		add(t, l, fmt.Sprint("entry ", n, strings.Repeat("x", 900)))
	}
	if err := l.TrimBefore(7); err != nil {
		t.Fatal(err)
	}
	if first, next := l.Bounds(); first > 7 || first < 4 || next != 21 {
		t.Errorf("bounds %d %d; want whole segments before 7 to go", first, next)
	}
	if err := l.TrimBefore(1000); err != nil {
		t.Fatal(err)
	}
	l.Close()
	l = open(t, dir, small(d))
	first, next := l.Bounds()
	last, ok := l.Last()
	if first <= 7 || next != 21 || !ok || last.Index != 20 {
		t.Errorf("bounds %d %d, last %d; want the newest entry to stay", first, next, last.Index)
	}
	if i := add(t, l, "more"); i != 21 {
		t.Errorf("index %d after trimming and opening", i)
	}
}

// TestFollow reads while others append and trim: every entry once, in order.
func TestFollow(t *testing.T) {
	const total = 300
	l := open(t, dir, small(ledgertest.NewDisk(0)))
	var all sync.WaitGroup
	all.Go(func() {
		for n := range total {
			if _, err := l.Append(t.Context(), []byte(fmt.Sprint(n+1))); err != nil {
				t.Error(err)
				return
			}
		}
	})
	next := ledger.Index(1)
	for next <= total && !t.Failed() {
		news := l.Appended()
		for e, err := range l.Entries(next) {
			if err != nil || e.Index != next || string(e.Data) != fmt.Sprint(next) {
				t.Fatalf("entry %d %q, error %v; want %d", e.Index, e.Data, err, next)
			}
			next++
		}
		if err := l.TrimBefore(next); err != nil {
			t.Fatal(err)
		}
		if next > total {
			break
		}
		<-news
	}
	all.Wait()
}

// gate holds flushes back until it is opened, and counts them.
type gate struct {
	ledger.FS
	arrived chan struct{}
	let     chan struct{}
}

type gatedFile struct {
	ledger.File
	g gate
}

func (g gate) OpenFile(name string, flag int, perm os.FileMode) (ledger.File, error) {
	f, err := g.FS.OpenFile(name, flag, perm)
	return gatedFile{f, g}, err
}

func (f gatedFile) Datasync() error {
	f.g.arrived <- struct{}{}
	<-f.g.let
	return f.File.Datasync()
}

// queued waits until n calls stand in line behind the one that is flushing.
func queued(t *testing.T, l *ledger.Ledger, n int) {
	t.Helper()
	for ledger.InLine(l) < n {
		if t.Context().Err() != nil {
			t.Fatal("nobody stands in line")
		}
		runtime.Gosched()
	}
}

func TestCallersShareAFlush(t *testing.T) {
	g := gate{ledgertest.NewDisk(0), make(chan struct{}), make(chan struct{})}
	l := open(t, dir, small(g))
	var all sync.WaitGroup
	got := make([]ledger.Index, 20)
	appendOne := func(n int) {
		i, err := l.Append(t.Context(), []byte(fmt.Sprint(n)), []byte("x"))
		if err != nil {
			t.Error(err)
		}
		got[n] = i
	}
	all.Go(func() { appendOne(0) })
	<-g.arrived
	for n := 1; n < len(got); n++ {
		all.Go(func() { appendOne(n) })
	}
	queued(t, l, len(got)-1)

	ended, cancel := context.WithCancel(t.Context())
	left := make(chan error)
	all.Go(func() { _, err := l.Append(ended, []byte("gave up")); left <- err })
	queued(t, l, len(got))
	cancel()
	wantError(t, <-left, context.Canceled)

	g.let <- struct{}{}
	<-g.arrived
	g.let <- struct{}{}
	all.Wait() // a third flush would wait for ever
	lines, err := list(l.Entries(1))
	if err != nil || len(lines) != 2*len(got) {
		t.Fatalf("%d entries, error %v; want %d", len(lines), err, 2*len(got))
	}
	for n, i := range got {
		if want := fmt.Sprintf("%d:%d", i, n); lines[i-1] != want {
			t.Errorf("entry %q, want %q", lines[i-1], want)
		}
	}
}

// failFlush makes the flushes of entries fail, their effect lost.
func failFlush(cause error) func(ledgertest.Step) *ledgertest.Fault {
	return func(s ledgertest.Step) *ledgertest.Fault {
		if s.Call != "datasync" {
			return nil
		}
		return &ledgertest.Fault{Err: cause}
	}
}

func TestAFailedFlushEndsAcknowledgement(t *testing.T) {
	d := ledgertest.NewDisk(0)
	l := open(t, dir, small(d))
	add(t, l, "a")
	d.Inject(failFlush(syscall.EIO))
	_, err := l.Append(t.Context(), []byte("b"))
	wantError(t, err, ledger.ErrFailed, syscall.EIO)
	var at *ledger.Error
	if !errors.As(err, &at) || at.Index != 2 || at.Offset == 0 || filepath.Base(at.Path) != "00000000000000000001.seg" {
		t.Errorf("error %+v doesn't say where", at)
	}
	d.Inject(nil)
	before := d.Steps()
	_, err = l.Append(t.Context(), []byte("c"))
	wantError(t, err, ledger.ErrFailed, syscall.EIO)
	wantError(t, l.Stats().Failed, ledger.ErrFailed)
	if d.Steps() != before {
		t.Error("the disk was touched after a failed flush")
	}
	wantEntries(t, l.Entries(1), "1:a")

	rec, err := l.Reopen()
	if err != nil {
		t.Fatal(err)
	}
	if rec.TornBytes == 0 || rec.Next != 2 || !strings.Contains(rec.Reason, "input/output error") {
		t.Errorf("recovery %+v", rec)
	}
	if i := add(t, l, "d"); i != 2 {
		t.Errorf("index %d after reopening, want 2", i)
	}
	if s := l.Stats(); s.Segments != 2 || s.Failed != nil {
		t.Errorf("stats %+v; want a second segment and no failure", s)
	}
	l.Close()
	wantEntries(t, open(t, dir, small(d)).Entries(1), "1:a", "2:d")
}

func TestAReadOnlyDisk(t *testing.T) {
	d := ledgertest.NewDisk(0)
	l := open(t, dir, small(d))
	add(t, l, "a")
	d.Inject(func(s ledgertest.Step) *ledgertest.Fault {
		if s.N == 0 {
			return nil
		}
		return &ledgertest.Fault{Err: syscall.EROFS}
	})
	_, err := l.Append(t.Context(), []byte("b"))
	wantError(t, err, ledger.ErrFailed, syscall.EROFS)
	_, err = l.Reopen()
	wantError(t, err, ledger.ErrFailed, syscall.EROFS)
	_, err = l.Append(t.Context(), []byte("c"))
	wantError(t, err, ledger.ErrFailed)
	wantEntries(t, l.Entries(1), "1:a")
	r, err := ledger.OpenReader(dir, small(d))
	if err != nil {
		t.Fatal(err)
	}
	wantEntries(t, r.Entries(1), "1:a")
	d.Inject(nil)
	if _, err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	add(t, l, "d")
	wantEntries(t, l.Entries(1), "1:a", "2:d")
}
