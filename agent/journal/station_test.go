package journal

import (
	"context"
	"crypto/ed25519"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"tapline/agent/clock"
	"tapline/proto/ledger"
	"tapline/proto/record"
)

const chainID = "0190a1b2-0000-7000-8000-000000000001"

var evidenceKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

// shelf is a key store that a test can break.
type shelf struct {
	mu    sync.Mutex
	keys  map[string][]byte
	fault func(op, name string) error // nil works; an error is what the caller gets instead
}

var errNoKey = errors.New("no such key")

func (s *shelf) break_(op, name string) error {
	if s.fault == nil {
		return nil
	}
	return s.fault(op, name)
}

func (s *shelf) Get(name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b, ok := s.keys[name]; ok {
		return b, nil
	}
	return nil, errNoKey
}

func (s *shelf) Put(name string, secret []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.break_("put", name); err != nil {
		return err
	}
	s.keys[name] = append([]byte(nil), secret...)
	return nil
}

func (s *shelf) Delete(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.break_("delete", name); err != nil {
		return err
	}
	delete(s.keys, name)
	return nil
}

// wall is a clock that a test can move.
type wall struct {
	mu sync.Mutex
	r  clock.Reading
}

func (w *wall) read() clock.Reading {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.r.Monotonic += time.Millisecond
	w.r.Wall = w.r.Wall.Add(time.Millisecond)
	return w.r
}

func (w *wall) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.r.Monotonic += d
	w.r.Wall = w.r.Wall.Add(d)
}

func (w *wall) set(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.r.Wall = w.r.Wall.Add(d)
}

// station is a machine with a disk, a key store and a clock, on which journals come and go.
type station struct {
	t         *testing.T
	dir       string
	keys      *shelf
	wall      *wall
	statement record.Envelope
	fs        ledger.FS
	keep      uint64
}

func newStation(t *testing.T) *station {
	began := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	_, first, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	statement, err := record.SignStatement(record.StationPayloadType, &record.StationStatement{
		V: record.Version, Station: "berlin/packing/line-3/press-4", Chain: chainID,
		IdentityKey: []byte("spki"), FirstKey: record.PublicKeyOf(first), EnrolledAt: began,
	}, evidenceKey)
	if err != nil {
		t.Fatal(err)
	}
	return &station{
		t: t, dir: filepath.Join(t.TempDir(), "journal"),
		keys:      &shelf{keys: map[string][]byte{KeyName(1): first.Seed()}},
		wall:      &wall{r: clock.Reading{Wall: began.Add(time.Minute), Boot: "boot-1", Monotonic: time.Minute}},
		statement: statement,
	}
}

func (s *station) config() Config {
	return Config{
		Dir: s.dir, Statement: s.statement, Evidence: record.PublicKeyOf(evidenceKey), Keys: s.keys,
		Keep: s.keep, Clock: clock.New(s.wall.read), Ledger: ledger.Options{FS: s.fs, SegmentSize: 1 << 20, Reserve: 128 << 10}, Log: zap.NewNop(),
	}
}

// start opens the journal and runs it until stop is called.
func (s *station) start() (j *Journal, rec Recovery, stop func()) {
	s.t.Helper()
	j, rec, err := Open(s.config())
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := j.Run(ctx); err != nil {
			s.t.Error(err)
		}
	})
	return j, rec, sync.OnceFunc(func() {
		cancel()
		running.Wait()
		if err := j.Close(); err != nil && s.fs == nil {
			s.t.Error(err)
		}
	})
}

// verify reads the disk as an auditor does and gives the payloads.
func (s *station) verify() []record.Payload {
	s.t.Helper()
	reader, err := ledger.OpenReader(filepath.Join(s.dir, recordsName), ledger.Options{SegmentSize: 1 << 20, Reserve: 128 << 10})
	if err != nil {
		s.t.Fatal(err)
	}
	cv, err := record.NewVerifier(record.Pin(record.PublicKeyOf(evidenceKey))).Station(s.statement)
	if err != nil {
		s.t.Fatal(err)
	}
	var all []record.Payload
	for e, err := range reader.Entries(1) {
		if err != nil {
			s.t.Fatal(err)
		}
		if f := cv.Add(e.Data); f != nil {
			s.t.Fatalf("the journal does not verify: %v", f)
		}
		entry, err := record.ReadEntry(e.Data)
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, entry.Payload)
	}
	if f := cv.Finish(); f != nil {
		s.t.Fatalf("the journal does not verify: %v", f)
	}
	return all
}

func opened(session record.SessionID) record.Payload {
	return record.Payload{
		Type: record.SessionOpened, Session: session, Person: "anna", Mode: record.ModeAttribute,
		Decision: &record.Decision{By: "bundle"},
	}
}

func closed(session record.SessionID) record.Payload {
	return record.Payload{Type: record.SessionClosed, Session: session, Reason: "tap-out", Mode: record.ModeAttribute}
}

func refused() record.Payload {
	return record.Payload{Type: record.TapRefused, Reason: "unknown-badge"}
}

func types(all []record.Payload) []record.Type {
	var list []record.Type
	for _, p := range all {
		list = append(list, p.Type)
	}
	return list
}
