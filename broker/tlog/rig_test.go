package tlog

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/mod/sumdb/tlog"

	"tapline/broker/store"
	"tapline/broker/vault"
	"tapline/proto/checkpoint"
	"tapline/proto/record"
)

// rig is a store with one chain that a test writes, and the clock of all.
type rig struct {
	t      testing.TB
	dir    string // of the store
	engine func(dir string) (*store.Store, error)
	store  *store.Store
	key    *Key
	now    time.Time

	mu     sync.Mutex // guards what follows
	chains int
	chain  *record.Chain
	beat   int64 // seconds between beats, which a test changes to write another history
	signer ed25519.PrivateKey
	leaves []checkpoint.Hash
}

func begin() time.Time { return time.Date(2026, 11, 25, 6, 0, 0, 0, time.UTC) }

func newRig(t testing.TB) *rig {
	t.Helper()
	return newRigOn(t, store.OpenSQLite)
}

// newRigOn makes a rig on an engine.
func newRigOn(t testing.TB, engine func(dir string) (*store.Store, error)) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), engine: engine, now: begin(), beat: 300, signer: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))}
	r.open()
	v, err := vault.New(make([]byte, vault.KeySize))
	r.must(err)
	r.key, err = LoadKey(t.Context(), r.store, v, "plant", begin())
	r.must(err)
	return r
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// open opens the store in the rig's folder.
func (r *rig) open() {
	r.t.Helper()
	r.store = r.another()
	r.must(r.store.Migrate(r.t.Context()))
}

// another opens the store once more, as another broker does where that can be.
func (r *rig) another() *store.Store {
	r.t.Helper()
	s, err := r.engine(r.dir)
	r.must(err)
	r.t.Cleanup(func() { _ = s.Close() })
	return s
}

// begin begins a chain: one epoch holds no more records than a test may want.
func (r *rig) begin() {
	r.t.Helper()
	r.chains++
	st := record.StationStatement{
		V: record.Version, Station: "plant/press/line-4/hmi-1", Chain: record.ChainID(fmt.Sprintf("3f8e4c1e-6a59-4b07-9a0c-%012d", r.chains)), IdentityKey: []byte("k"),
		FirstKey: record.PublicKeyOf(r.signer), EnrolledAt: begin(),
	}
	r.chain = record.NewChain(st)
	r.must(r.store.Update(r.t.Context(), func(tx *store.Tx) error {
		return tx.AddChain(store.Chain{ID: st.Chain, Station: st.Station, Statement: []byte("st"), Head: st.Head(), EnrolledAt: begin()})
	}))
}

// write stores n records.
func (r *rig) write(n int) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for n > 0 {
		if r.chain == nil || r.chain.Head().Seq >= 900 {
			r.begin()
		}
		some := min(n, 100)
		n -= some
		from := r.chain.Head()
		entries := make([]record.Entry, 0, some)
		for range some {
			wall := begin().Add(time.Duration(r.chain.Head().Seq) * time.Millisecond)
			e, err := r.chain.Next(record.Payload{
				Type: record.StationHeartbeat, Mode: record.ModeAttribute, Beat: &record.Beat{Interval: r.beat, State: "idle"},
				Time: record.Time{Wall: wall, Boot: "3f8e4c1e-6a59-4b07-9a0c-5b7c5a1d2e3f", Monotonic: wall.UnixNano(), State: record.ClockUnanchored},
			}, r.signer)
			if err == nil {
				err = r.chain.Commit(e)
			}
			r.must(err)
			p, err := e.Payload()
			r.must(err)
			entries = append(entries, record.Entry{Envelope: e, Payload: p})
			r.leaves = append(r.leaves, checkpoint.LeafHash(e.Bytes()))
		}
		r.must(r.store.Update(r.t.Context(), func(tx *store.Tx) error {
			return tx.Append(from, r.chain.Head(), entries, func(int) bool { return true }, begin())
		}))
	}
}

// log is the log of another broker on the store, with a data folder of its own.
func (r *rig) log(data string) *Log {
	r.t.Helper()
	l, err := New(Config{
		Store: r.store, Key: r.key, Data: data, Holder: fmt.Sprintf("%s@%p", data, new(int)), Now: func() time.Time { return r.now }, Log: zap.NewNop(),
	})
	r.must(err)
	return l
}

// looks lets a log do all that is due.
func (r *rig) looks(l *Log) {
	r.t.Helper()
	for {
		more, err := l.Look(r.t.Context())
		r.must(err)
		if !more {
			return
		}
	}
}

// mth is the tree's hash as RFC 6962, section 2.1, writes it down.
func mth(leaves []checkpoint.Hash) checkpoint.Hash {
	switch len(leaves) {
	case 0:
		return checkpoint.EmptyRoot()
	case 1:
		return leaves[0]
	}
	k := 1
	for k*2 < len(leaves) {
		k *= 2
	}
	return tlog.NodeHash(mth(leaves[:k]), mth(leaves[k:]))
}

// holds wants every head and every signed checkpoint in the store, and the file of each folder, to be of the one true tree.
func (r *rig) holds(folders ...string) {
	r.t.Helper()
	check := func(signed []byte) {
		r.t.Helper()
		s, err := checkpoint.Open(signed, r.key.Verifier())
		r.must(err)
		if want := mth(r.leaves[:s.Size]); s.Root != want {
			r.t.Errorf("signed for size %d: %v, want %v", s.Size, s.Root, want)
		}
	}
	r.must(r.store.View(r.t.Context(), func(tx *store.Tx) error {
		roots, err := tx.LogRoots()
		var epoch uint64
		for _, size := range slices.Sorted(maps.Keys(roots)) {
			h, err := tx.LogHeadOf(size)
			if err != nil {
				return err
			}
			if h.Root != mth(r.leaves[:h.Size]) {
				return fmt.Errorf("committed for size %d: %v, want %v", h.Size, h.Root, mth(r.leaves[:h.Size]))
			}
			if h.Epoch < epoch {
				return fmt.Errorf("epoch %d after %d", h.Epoch, epoch)
			}
			epoch = h.Epoch
			if h.Checkpoint != nil {
				check(h.Checkpoint)
			}
		}
		return err
	}))
	for _, dir := range folders {
		signed, _, ok, err := ReadFile(dir)
		r.must(err)
		if ok {
			check(signed)
		}
	}
}

// published wants the newest checkpoint to cover all records.
func (r *rig) published(l *Log) checkpoint.Signed {
	r.t.Helper()
	signed, err := l.Checkpoint(r.t.Context(), 0)
	r.must(err)
	s, err := checkpoint.Open(signed, r.key.Verifier())
	r.must(err)
	if s.Size != uint64(len(r.leaves)) {
		r.t.Fatalf("the newest checkpoint has %d records, want %d", s.Size, len(r.leaves))
	}
	return s
}

// copyStore is the store's folder as it is now, while nobody writes.
func (r *rig) copyStore() string {
	r.t.Helper()
	r.must(r.store.Close())
	dir := r.t.TempDir()
	r.must(os.CopyFS(filepath.Join(dir, "copy"), os.DirFS(r.dir)))
	r.open()
	return filepath.Join(dir, "copy")
}

func wantErr(t testing.TB, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
