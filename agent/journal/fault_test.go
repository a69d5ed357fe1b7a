package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"syscall"
	"testing"
	"time"

	"tapline/proto/ledger"
	"tapline/proto/record"
)

var errDead = errors.New("the machine is dead")

// fuse lets a number of steps pass, then dies at one: the step is lost, or done but reported as failed. All later steps are lost.
type fuse struct {
	mu   sync.Mutex
	left int
	done bool // the last step is done before it dies
	dead bool
}

func (f *fuse) step(do func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return errDead
	}
	if f.left--; f.left >= 0 {
		return do()
	}
	f.dead = true
	if f.done {
		_ = do()
	}
	return errDead
}

// fusedFS and fusedFile burn the fuse with each write and flush.
type fusedFS struct {
	ledger.FS
	fuse *fuse
}

type fusedFile struct {
	ledger.File
	fuse *fuse
}

func (f fusedFS) OpenFile(name string, flag int, perm fs.FileMode) (ledger.File, error) {
	file, err := f.FS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return fusedFile{file, f.fuse}, nil
}

func (f fusedFile) WriteAt(b []byte, at int64) (n int, err error) {
	err = f.fuse.step(func() error {
		var err error
		n, err = f.File.WriteAt(b, at)
		return err
	})
	return n, err
}

func (f fusedFile) Datasync() error { return f.fuse.step(f.File.Datasync) }

// fusedKeys burns the fuse with each change of the key store.
type fusedKeys struct {
	*shelf
	fuse *fuse
}

func (k fusedKeys) Put(name string, secret []byte) error {
	return k.fuse.step(func() error { return k.shelf.Put(name, secret) })
}

func (k fusedKeys) Delete(name string) error {
	return k.fuse.step(func() error { return k.shelf.Delete(name) })
}

// TestCrashAtEachStepOfARotation writes across two epochs, kills the machine at each step in both ways, and opens the journal again: what was
// acknowledged is there once, the chain verifies, and it goes on.
func TestCrashAtEachStepOfARotation(t *testing.T) {
	for _, done := range []bool{false, true} {
		for at := 0; ; at++ {
			if !crashAt(t, at, done) {
				break
			}
			if at > 200 {
				t.Fatal("the run never ends")
			}
		}
	}
}

// crashAt reports whether the machine died at all.
func crashAt(t *testing.T, at int, done bool) bool {
	t.Helper()
	s := newStation(t)
	_, _, stop := s.start() // the first segment is made before the fuse counts
	stop()
	f := &fuse{left: at, done: done}
	cfg := s.config()
	cfg.Ledger.FS = fusedFS{ledger.OS(), f}
	cfg.Keys = fusedKeys{s.keys, f}
	acked := 0
	if j, _, err := Open(cfg); err == nil {
		for i := range 4 {
			if i%2 == 1 {
				s.wall.pass(24*time.Hour + time.Minute)
			}
			r := newRequest(record.Payload{Type: record.TapRefused, Reason: record.Reason(fmt.Sprintf("r%d", i)), Time: j.cfg.Clock.Stamp()})
			if j.commit([]*request{r}, false) != nil {
				break
			}
			acked++
		}
		_ = j.Close()
	}
	died := f.dead
	j, _, stop := s.start()
	s.write(j, record.Payload{Type: record.TapRefused, Reason: "after"})
	stop()
	var reasons []record.Reason
	for _, p := range s.verify() {
		if p.Type == record.TapRefused {
			reasons = append(reasons, p.Reason)
		}
	}
	n := len(reasons) - 1 // one that was not acknowledged may be there
	if n < acked || n > acked+1 || reasons[n] != "after" {
		t.Fatalf("killed at step %d (step done: %t): %d acknowledged, found %q", at, done, acked, reasons)
	}
	for i, r := range reasons[:n] {
		if r != record.Reason(fmt.Sprintf("r%d", i)) {
			t.Fatalf("killed at step %d: found %q", at, reasons)
		}
	}
	keys := 0
	for range s.keys.keys {
		keys++
	}
	if keys > 2 {
		t.Fatalf("killed at step %d: %d keys are left", at, keys)
	}
	return died
}

// sick is a disk that can be made to fail.
type sick struct {
	ledger.FS
	mu    sync.Mutex
	fault error // of writes
	full  bool
}

func (s *sick) set(fault error, full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault, s.full = fault, full
}

func (s *sick) now() (error, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault, s.full
}

type sickFile struct {
	ledger.File
	sick *sick
}

func (s *sick) OpenFile(name string, flag int, perm fs.FileMode) (ledger.File, error) {
	if fault, _ := s.now(); fault != nil {
		return nil, fault
	}
	f, err := s.FS.OpenFile(name, flag, perm)
	return sickFile{f, s}, err
}

func (f sickFile) WriteAt(b []byte, at int64) (int, error) {
	if fault, _ := f.sick.now(); fault != nil {
		return 0, fault
	}
	return f.File.WriteAt(b, at)
}

func (f sickFile) Allocate(size int64) error {
	if _, full := f.sick.now(); full {
		return syscall.ENOSPC
	}
	return f.File.Allocate(size)
}

func waitUntil(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func TestADiskThatFailsForAWhileLosesNothing(t *testing.T) {
	s := newStation(t)
	disk := &sick{FS: ledger.OS()}
	s.fs = disk
	j, _, stop := s.start()
	s.write(j, opened("s1"))
	disk.set(syscall.EIO, false)
	for _, p := range []record.Payload{closed("s1"), opened("s2"), refused()} {
		if _, err := j.Write(t.Context(), p); !errors.Is(err, ErrDegraded) {
			t.Fatalf("write %s on a failing disk: %v, want ErrDegraded", p.Type, err)
		}
	}
	if j.Status().Degraded != "io" {
		t.Errorf("status %+v", j.Status())
	}
	disk.set(nil, false)
	waitUntil(t, "the journal recovers", func() bool { return j.Status().Degraded == "" })
	s.write(j, closed("s2"))
	stop()
	want := []record.Type{
		record.SessionOpened, record.JournalDegraded, record.SessionClosed, record.SessionOpened, record.TapRefused,
		record.JournalRecovered, record.SessionClosed,
	}
	s.same(want)
}

func (s *station) same(want []record.Type) {
	s.t.Helper()
	got := types(s.verify())
	if fmt.Sprint(got) != fmt.Sprint(want) {
		s.t.Errorf("records\n got %v\nwant %v", got, want)
	}
}

// fill makes the disk full, and writes until the journal says so.
func (s *sick) fill(t *testing.T, j *Journal) {
	t.Helper()
	s.set(nil, true)
	full := false
	for range 20_000 { // until the segment is used up
		if _, err := j.Write(t.Context(), refused()); err != nil {
			full = errors.Is(err, ErrDegraded)
			break
		}
	}
	if !full || j.Status().Degraded != "full" {
		t.Fatalf("the disk never became full: %+v", j.Status())
	}
}

func TestAnEmergencyIsRecordedOnAFullDisk(t *testing.T) {
	s := newStation(t)
	disk := &sick{FS: ledger.OS()}
	s.fs = disk
	j, _, stop := s.start()
	disk.fill(t, j)
	claim := record.Payload{Type: record.EmergencyClaimed, Person: "p-1", Claim: &record.Claim{Emergency: record.SessionID("e1")}}
	unheard := record.Payload{Type: record.EmergencyClaimed, Person: "p-2", Claim: &record.Claim{Emergency: record.SessionID("s2")}}
	for _, row := range []struct {
		name string
		p    record.Payload
		want error
	}{
		{"a session begins", opened("s2"), ErrDegraded},
		{"the station is opened", record.Payload{Type: record.EmergencyOpened, Session: record.SessionID("e1"), Reason: "fire"}, nil},
		{"somebody answers for it", claim, nil},
		{"somebody answers for what is not on the disk yet", unheard, ErrDegraded},
		{"it is over", record.Payload{Type: record.SessionClosed, Session: record.SessionID("e1"), Reason: "ended-here"}, nil},
	} {
		if _, err := j.Write(t.Context(), row.p); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", row.name, err, row.want)
		}
	}
	disk.set(nil, false)
	waitUntil(t, "the journal recovers", func() bool { return j.Status().Degraded == "" })
	stop()
	all := types(s.verify())
	tail := all[len(all)-8:]
	want := []record.Type{
		record.JournalDegraded, record.EmergencyOpened, record.EmergencyClaimed, record.SessionClosed,
		record.TapRefused, record.SessionOpened, record.EmergencyClaimed, record.JournalRecovered,
	}
	if fmt.Sprint(tail) != fmt.Sprint(want) {
		t.Errorf("last records %v, want %v", tail, want)
	}
}

func TestOnAFullDiskASessionStillCloses(t *testing.T) {
	s := newStation(t)
	disk := &sick{FS: ledger.OS()}
	s.fs = disk
	j, _, stop := s.start()
	s.write(j, opened("s1"))
	disk.fill(t, j)
	if _, err := j.Write(t.Context(), closed("s1")); err != nil {
		t.Errorf("close a session on a full disk: %v", err)
	}
	disk.set(nil, false)
	waitUntil(t, "the journal recovers", func() bool { return j.Status().Degraded == "" })
	stop()
	all := types(s.verify())
	tail := all[len(all)-4:]
	want := []record.Type{record.JournalDegraded, record.SessionClosed, record.TapRefused, record.JournalRecovered}
	if fmt.Sprint(tail) != fmt.Sprint(want) {
		t.Errorf("last records %v, want %v", tail, want)
	}
}

func TestAKeyStoreThatFailsDelaysTheSealOnly(t *testing.T) {
	s := newStation(t)
	j, _, stop := s.start()
	s.keys.fault = func(op, _ string) error { return errors.New(op + " refused") }
	s.wall.pass(24*time.Hour + time.Minute)
	s.write(j, refused())
	s.keys.mu.Lock()
	s.keys.fault = nil
	s.keys.mu.Unlock()
	s.write(j, refused())
	stop()
	s.same([]record.Type{record.TapRefused, record.EpochSealed, record.TapRefused})
}

func TestAWriterThatGivesUpLosesNothing(t *testing.T) {
	s := newStation(t)
	j, _, err := Open(s.config()) // not running
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := j.Write(ctx, refused()); !errors.Is(err, context.Canceled) {
		t.Fatalf("write: %v", err)
	}
	if err := j.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	s.same([]record.Type{record.TapRefused})
	if _, err := j.Write(t.Context(), refused()); !errors.Is(err, ErrClosed) {
		t.Errorf("write after the end: %v, want ErrClosed", err)
	}
}
