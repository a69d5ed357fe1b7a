package uplink

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"iter"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"tapline/agent/brokertest"
	"tapline/agent/identity"
	"tapline/agent/keystore"
	"tapline/proto/record"
)

const press = "plant/press/line-4/hmi-1"

// station is an enrolled station with a journal in memory.
type station struct {
	t       *testing.T
	broker  *brokertest.Broker
	id      *identity.Manager
	journal *journal
	cfg     Config
	up      *Uplink
}

// newStation enrols a station at a broker that also serves at the given listeners, in order of preference.
func newStation(t *testing.T, listeners ...net.Listener) *station {
	t.Helper()
	s := &station{t: t, broker: brokertest.New(t, time.Now)}
	home := s.broker.Serve(t)
	for _, l := range listeners {
		s.broker.ServeOn(t, l)
		s.broker.Addresses = append(s.broker.Addresses, l.Addr().String())
	}
	if len(listeners) == 0 {
		s.broker.Addresses = []string{home}
	}
	ks, err := keystore.Open(keystore.Config{Kind: keystore.Files, Dir: filepath.Join(t.TempDir(), "keys")})
	if err != nil {
		t.Fatal(err)
	}
	s.id, err = identity.Enrol(t.Context(), t.TempDir(), ks, s.broker.Token(press, home), identity.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.journal = newJournal(t, s.id.Current(), ks)
	id := s.id.Current()
	s.cfg = Config{
		Station: id.Station, Chain: id.Chain, Brokers: func() []string { return s.id.Current().Brokers }, TLS: s.id.TLS(),
		EvidenceKey: func() record.PublicKey { return s.id.Current().EvidenceKey }, Changed: s.id.Changed, Journal: s.journal,
		Timing: Timing{Answer: 5 * time.Second, Receipt: 5 * time.Second, RetryFirst: time.Millisecond, RetryMax: 20 * time.Millisecond, Stall: 10 * time.Millisecond},
	}
	return s
}

// run runs the line until the end of the test or a call of stop.
func (s *station) run() (stop func()) {
	s.t.Helper()
	s.up = New(s.cfg)
	ctx, cancel := context.WithCancel(s.t.Context())
	var group errgroup.Group
	group.Go(func() error { return s.up.Run(ctx) })
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := group.Wait(); err != nil {
				s.t.Error(err)
			}
		})
	}
	s.t.Cleanup(stop)
	return stop
}

// until waits until ok, for as long as a busy machine may need.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// journal is a journal in memory, of real records.
type journal struct {
	t   *testing.T
	key ed25519.PrivateKey

	mu       sync.Mutex
	chain    *record.Chain
	records  [][]byte
	heads    []record.Head // after each record
	first    record.Seq
	appended chan struct{}
	receipts []record.Receipt
}

func newJournal(t *testing.T, id identity.Identity, ks keystore.Store) *journal {
	t.Helper()
	seed, err := ks.Get(identity.RecordKeyName(1))
	if err != nil {
		t.Fatal(err)
	}
	var st record.StationStatement
	if err := record.OpenStatement(id.Statement, record.StationPayloadType, id.EvidenceKey, &st); err != nil {
		t.Fatal(err)
	}
	return &journal{t: t, key: ed25519.NewKeyFromSeed(seed), chain: record.NewChain(st), first: 1, appended: make(chan struct{})}
}

// write appends n records.
func (j *journal) write(n int) {
	j.t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	for range n {
		e, err := j.chain.Next(record.Payload{
			Type: record.ReaderAttached, Reader: fmt.Sprintf("reader %d", len(j.records)),
			Time: record.Time{Wall: time.Now().UTC(), Boot: "boot", Monotonic: int64(len(j.records)), State: record.ClockUnanchored},
		}, j.key)
		if err != nil {
			j.t.Fatal(err)
		}
		if err := j.chain.Commit(e); err != nil {
			j.t.Fatal(err)
		}
		j.records, j.heads = append(j.records, e.Bytes()), append(j.heads, j.chain.Head())
	}
	close(j.appended)
	j.appended = make(chan struct{})
}

func (j *journal) Entries(from record.Seq) iter.Seq2[[]byte, error] {
	j.mu.Lock()
	defer j.mu.Unlock()
	records := j.records[max(from, j.first)-1:]
	return func(yield func([]byte, error) bool) {
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (j *journal) Bounds() (first, next record.Seq) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.first, record.Seq(len(j.records)) + 1
}

func (j *journal) Appended() <-chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.appended
}

func (j *journal) Acked(_ record.Envelope, r record.Receipt) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.receipts = append(j.receipts, r)
	return nil
}

func (j *journal) lastReceipt() record.Receipt {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.receipts) == 0 {
		return record.Receipt{}
	}
	return j.receipts[len(j.receipts)-1]
}
