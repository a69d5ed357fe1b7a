package ingest_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"tapline/broker/identity"
	"tapline/broker/ingest"
	"tapline/broker/store"
	"tapline/broker/vault"
	"tapline/proto/record"
)

const (
	press   = record.StationID("plant/press/line-4/hmi-1")
	packing = record.StationID("plant/packing/line-2/hmi-1")
	boot    = "3f8e4c1e-6a59-4b07-9a0c-5b7c5a1d2e3f"
)

// desk is an ingest over a store of its own.
type desk struct {
	testing.TB
	*ingest.Ingest
	at     time.Time
	stored atomic.Int32 // calls of Stored
}

func newDesk(t testing.TB) *desk {
	t.Helper()
	d := &desk{TB: t, at: time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)}
	s, err := store.OpenSQLite(t.TempDir())
	d.must(err)
	t.Cleanup(func() { d.must(s.Close()) })
	d.must(s.Migrate(t.Context()))
	v, err := vault.New(make([]byte, vault.KeySize))
	d.must(err)
	evidence, err := identity.LoadEvidence(t.Context(), s, v, d.at)
	d.must(err)
	d.Ingest = &ingest.Ingest{Store: s, Evidence: evidence, Now: func() time.Time { return d.at }, Stored: func() { d.stored.Add(1) }}
	return d
}

func (d *desk) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

func (d *desk) view(read func(*store.Tx) error) {
	d.Helper()
	d.must(d.Store.View(d.Context(), read))
}

func (d *desk) update(do func(*store.Tx) error) {
	d.Helper()
	d.must(d.Store.Update(d.Context(), do))
}

// pen writes the records of one station.
type pen struct {
	*desk
	station record.StationID
	id      record.ChainID
	chain   *record.Chain
	key     ed25519.PrivateKey
	old     ed25519.PrivateKey // of the epoch before
}

func newKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// enrol begins a chain, as an enrolment does.
func (d *desk) enrol(station record.StationID) *pen {
	d.Helper()
	p := &pen{desk: d, station: station, id: record.ChainID(uuid.NewString()), key: newKey(d)}
	spki, err := x509.MarshalPKIXPublicKey(newKey(d).Public())
	d.must(err)
	st := record.StationStatement{
		V: record.Version, Station: station, Chain: p.id, IdentityKey: spki, FirstKey: record.PublicKeyOf(p.key), EnrolledAt: d.at,
	}
	e, err := d.Evidence.Sign(record.StationPayloadType, &st)
	d.must(err)
	d.update(func(tx *store.Tx) error {
		return tx.AddChain(store.Chain{ID: p.id, Station: station, Statement: e.Bytes(), Head: st.Head(), EnrolledAt: d.at})
	})
	p.chain = record.NewChain(st)
	return p
}

func (p *pen) time() record.Time {
	return record.Time{Wall: p.at, Boot: boot, Monotonic: p.at.UnixNano(), State: record.ClockUnanchored}
}

// beat is the smallest of records.
func (p *pen) beat() record.Payload {
	return record.Payload{Type: record.StationHeartbeat, Beat: &record.Beat{Interval: 300, State: "idle"}}
}

// write makes one record.
func (p *pen) write(payload record.Payload) []byte {
	p.Helper()
	if payload.Time.Wall.IsZero() {
		payload.Time = p.time()
	}
	e, err := p.chain.Next(payload, p.key)
	p.must(err)
	p.must(p.chain.Commit(e))
	return e.Bytes()
}

// beats makes n heartbeats.
func (p *pen) beats(n int) [][]byte {
	p.Helper()
	var all [][]byte
	for range n {
		all = append(all, p.write(p.beat()))
	}
	return all
}

// seal makes the record that ends the epoch.
func (p *pen) seal() []byte {
	p.Helper()
	next := newKey(p)
	e, err := p.chain.Seal(record.Payload{Time: p.time()}, p.key, record.PublicKeyOf(next))
	p.must(err)
	p.must(p.chain.Commit(e))
	p.old, p.key = p.key, next
	return e.Bytes()
}

// forge signs a record after head with any key.
func (p *pen) forge(head record.Head, payload record.Payload, key ed25519.PrivateKey) []byte {
	p.Helper()
	payload.Version, payload.Station, payload.Chain = record.Version, head.Station, head.Chain
	payload.Epoch, payload.Seq, payload.Prev = head.Epoch, head.Seq+1, head.Hash
	payload.Time = p.time()
	e, err := record.SignPayload(payload, key)
	p.must(err)
	return e.Bytes()
}

// send gives a batch in and opens the receipt.
func (p *pen) send(first record.Seq, records ...[]byte) (record.Receipt, error) {
	p.Helper()
	e, told, err := p.Take(p.Context(), ingest.Batch{Station: p.station, Chain: p.id, First: first, Records: records})
	if err != nil {
		return record.Receipt{}, err
	}
	var r record.Receipt
	p.must(record.OpenStatement(e, record.ReceiptPayloadType, p.Evidence.Public(), &r))
	if r.Seq != told.Seq || r.Head != told.Head {
		p.Errorf("the receipt signed is for %d %s, the one told for %d %s", r.Seq, r.Head, told.Seq, told.Head)
	}
	return r, nil
}

// holds is how many records of the chain are stored, and whether head and records agree.
func (p *pen) holds() int {
	p.Helper()
	var n int
	p.view(func(tx *store.Tx) error {
		all, err := tx.ChainRecords(p.id, 1, 1<<20)
		if err != nil {
			return err
		}
		n = len(all)
		for i, r := range all {
			if r.Seq != record.Seq(i+1) {
				p.Errorf("record %d is at the place of %d", r.Seq, i+1)
			}
		}
		c, err := tx.Chain(p.id)
		if c.Head.Seq != record.Seq(n) {
			p.Errorf("the head is %d with %d records stored", c.Head.Seq, n)
		}
		return err
	})
	return n
}

// faults are the records of the chain that are marked, by number.
func (p *pen) faults() map[record.Seq]string {
	p.Helper()
	found := map[record.Seq]string{}
	p.view(func(tx *store.Tx) error {
		all, err := tx.ChainRecords(p.id, 1, 1<<20)
		for _, r := range all {
			if !r.Verified {
				found[r.Seq] = "not looked at"
			} else if r.Fault != "" {
				found[r.Seq] = r.Fault
			}
		}
		return err
	})
	return found
}

// alarms are the open alarms of a station by kind, with what they say.
func (d *desk) alarms(station record.StationID) map[string]string {
	d.Helper()
	found := map[string]string{}
	d.view(func(tx *store.Tx) error {
		all, err := tx.Alarms(true, store.Page{Size: 1000})
		for _, a := range all {
			if a.Station == station {
				found[a.Kind] = a.What
			}
		}
		return err
	})
	return found
}

// rejects is how many refused batches are kept of a station.
func (d *desk) rejects(station record.StationID) int {
	d.Helper()
	var n int
	d.view(func(tx *store.Tx) (err error) {
		n, err = tx.Rejects(station)
		return err
	})
	return n
}
