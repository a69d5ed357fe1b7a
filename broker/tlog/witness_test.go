package tlog

import (
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tapline/broker/store"
	"tapline/proto/checkpoint"
	"tapline/proto/witness"
)

// outside is a witness outside of the plant.
type outside struct {
	Witness
	alarms atomic.Int32
	down   atomic.Bool
}

func (r *rig) outside(name string) *outside {
	r.t.Helper()
	seed := sha256.Sum256([]byte(name))
	k, err := witness.NewKey(name, seed[:])
	r.must(err)
	o := &outside{}
	w, err := witness.New(k, []checkpoint.Key{r.key.Verifier()}, r.t.TempDir(), func() time.Time { return r.now }, func(string, string) { o.alarms.Add(1) })
	r.must(err)
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, req *http.Request) {
		if o.down.Load() {
			http.Error(out, "out of order", http.StatusBadGateway)
			return
		}
		w.ServeHTTP(out, req)
	}))
	r.t.Cleanup(server.Close)
	o.Witness = Witness{Key: k.Verifier(), URL: server.URL + "/prefix/"}
	return o
}

// cosigned wants the newest checkpoint that all witnesses cosigned to have a size.
func (r *rig) cosigned(l *Log, size uint64) {
	r.t.Helper()
	signed, err := l.Checkpoint(r.t.Context(), len(l.Witnesses))
	r.must(err)
	var keys []checkpoint.Key
	for _, w := range l.Witnesses {
		keys = append(keys, w.Key)
	}
	s, err := checkpoint.Open(signed, r.key.Verifier(), keys...)
	if err != nil || s.Size != size || len(s.Cosignatures) != len(keys) {
		r.t.Errorf("cosigned: %+v, %v, want size %d", s, err, size)
	}
}

func TestWitnessesCosignAndRefuseAFork(t *testing.T) {
	r := newRig(t)
	one, two := r.outside("one.example"), r.outside("two.example")
	l := r.log(t.TempDir())
	l.Witnesses = []Witness{one.Witness, two.Witness}
	cosign := func(l *Log, o *outside) error {
		_, err := l.Cosign(t.Context(), o.Witness)
		return err
	}
	ask := func(o *outside) error { return cosign(l, o) }
	r.must(ask(one)) // there is nothing to cosign yet
	r.write(100)
	r.looks(l)
	r.must(ask(one))
	r.must(ask(two))
	r.must(ask(two)) // it has done so
	r.cosigned(l, 100)

	// One of them is away for a while: nothing waits for it, and it catches up.
	two.down.Store(true)
	for range 3 {
		r.write(10)
		r.looks(l)
		r.must(ask(one))
		if err := ask(two); err == nil || !strings.Contains(err.Error(), "502") {
			t.Errorf("a witness that is out of order: %v", err)
		}
	}
	r.published(l)
	r.cosigned(l, 100)
	two.down.Store(false)
	r.must(ask(two))
	r.cosigned(l, 130)

	// A cosignature that was lost on its way is asked for again, and one that the store forgot too.
	r.must(Thin(t.Context(), r.store, r.now.Add(time.Hour)))
	r.write(1)
	r.looks(l)
	r.must(ask(one))
	r.must(ask(two))
	r.cosigned(l, 131)

	// Somebody puts the store back, takes the file away, and lets another history grow. The witness has seen the first.
	old := r.copyStore()
	l.Store = r.store
	fork, leaves := *r.chain, len(r.leaves)
	r.write(20)
	r.looks(l)
	r.must(ask(one))
	r.dir = old
	r.open()
	r.chain, r.leaves, r.beat = &fork, r.leaves[:leaves], 60
	r.write(15)
	other := r.log(t.TempDir())
	other.Witnesses = l.Witnesses
	for range 3 {
		r.looks(other)
		r.now = r.now.Add(Term)
	}
	r.published(other)
	wantErr(t, "a log that is behind the witness", cosign(other, one), errForked)
	r.write(15)
	r.looks(other)
	wantErr(t, "a log of another history", cosign(other, one), errForked)
	if one.alarms.Load() == 0 {
		t.Error("the witness raised no alarm")
	}
	r.must(r.store.View(t.Context(), func(tx *store.Tx) error {
		open, err := tx.Alarms(true, store.Page{Size: 10})
		if len(open) != 1 || open[0].Kind != "log-fork" || open[0].Times != 2 {
			t.Errorf("alarms %+v", open)
		}
		return err
	}))
}
