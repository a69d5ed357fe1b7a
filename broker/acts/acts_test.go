package acts_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"tapline/broker/acts"
	"tapline/broker/identity"
	"tapline/broker/store"
	"tapline/broker/vault"
	"tapline/proto/record"
)

// plant is a broker's store and its own chain.
type plant struct {
	testing.TB
	store    *store.Store
	vault    *vault.Vault
	evidence *identity.Evidence
	log      *acts.Log
	at       time.Time
}

func newPlant(t *testing.T) *plant {
	t.Helper()
	p := &plant{TB: t, at: time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC)}
	var err error
	p.store, err = store.OpenSQLite(t.TempDir())
	p.must(err)
	t.Cleanup(func() { p.must(p.store.Close()) })
	p.must(p.store.Migrate(t.Context()))
	p.vault, err = vault.New(make([]byte, vault.KeySize))
	p.must(err)
	p.evidence, err = identity.LoadEvidence(t.Context(), p.store, p.vault, p.at)
	p.must(err)
	p.open()
	return p
}

func (p *plant) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

// open opens the chain as a start of the broker does.
func (p *plant) open() {
	p.Helper()
	var err error
	p.log, err = acts.Open(p.Context(), p.store, p.vault, p.evidence, "plant", func() time.Time { return p.at })
	p.must(err)
}

// act does something, and writes that it was done.
func (p *plant) act(method string, do func(*store.Tx) error) error {
	return p.store.Update(context.Background(), func(tx *store.Tx) error {
		if err := do(tx); err != nil {
			return err
		}
		return p.log.Write(tx, acts.Act{Method: method, Actor: "anna", Target: "p-1", Digest: record.HashOf([]byte(method))})
	})
}

func nothing(*store.Tx) error { return nil }

// records checks the whole chain, each signature too, and gives its records.
func (p *plant) records() []record.Entry {
	p.Helper()
	var entries []record.Entry
	p.must(p.store.View(p.Context(), func(tx *store.Tx) error {
		c, err := tx.LastChain("plant/tapline/broker/1")
		if err != nil {
			return err
		}
		e, err := record.ParseEnvelope(c.Statement)
		if err != nil {
			return err
		}
		var st record.StationStatement
		if err := record.OpenStatement(e, record.StationPayloadType, p.evidence.Public(), &st); err != nil {
			return err
		}
		stored, err := tx.ChainRecords(c.ID, 1, 1<<20)
		if err != nil {
			return err
		}
		var raw [][]byte
		for _, r := range stored {
			raw = append(raw, r.Envelope)
			if !r.Verified || r.Fault != "" {
				p.Errorf("record %d waits for a check of its signature, by the one who made it", r.Seq)
			}
		}
		head, all, err := record.CheckBatch(st.Head(), raw, record.CheckAll)
		if head != c.Head {
			p.Errorf("the head is %+v, the records lead to %+v", c.Head, head)
		}
		entries = all
		return err
	}))
	return entries
}

// types are what was recorded, in order.
func types(entries []record.Entry) []record.Type {
	var all []record.Type
	for _, e := range entries {
		all = append(all, e.Payload.Type)
	}
	return all
}

func count(entries []record.Entry, t record.Type) int {
	n := 0
	for _, e := range entries {
		if e.Payload.Type == t {
			n++
		}
	}
	return n
}

func TestAnActIsARecord(t *testing.T) {
	p := newPlant(t)
	p.must(p.act("PutPerson", nothing))
	all := p.records()
	if len(all) != 1 {
		t.Fatalf("recorded are %v", types(all))
	}
	a, want := all[0].Payload.Admin, record.Admin{Method: "PutPerson", Actor: "anna", Target: "p-1", Digest: record.HashOf([]byte("PutPerson"))}
	if *a != want || !all[0].Payload.Time.Wall.Equal(p.at) {
		t.Errorf("got %+v at %s, want %+v at %s", *a, all[0].Payload.Time.Wall, want, p.at)
	}
}

func TestAnActThatFailsLeavesNoRecordAndNoHole(t *testing.T) {
	p := newPlant(t)
	p.must(p.act("PutPerson", nothing))
	no := errors.New("no")
	if err := p.act("PutPerson", func(*store.Tx) error { return no }); !errors.Is(err, no) {
		t.Errorf("got %v", err)
	}
	err := p.store.Update(t.Context(), func(tx *store.Tx) error { // the record is written, and then the update fails
		return errors.Join(p.log.Write(tx, acts.Act{Method: "PutPerson", Actor: "anna"}), no)
	})
	if !errors.Is(err, no) {
		t.Errorf("got %v", err)
	}
	p.must(p.act("DeletePerson", nothing))
	if all := p.records(); len(all) != 2 || all[1].Payload.Admin.Method != "DeletePerson" {
		t.Errorf("recorded are %v", types(all))
	}
}

func TestManyActsAtOnceAreOneChain(t *testing.T) {
	p := newPlant(t)
	var g errgroup.Group
	for range 40 {
		g.Go(func() error { return p.act("PutPerson", nothing) })
	}
	p.must(g.Wait())
	if n := len(p.records()); n != 40 {
		t.Errorf("%d records, want 40", n)
	}
}

func TestTheChainGoesOnAfterARestart(t *testing.T) {
	p := newPlant(t)
	p.must(p.act("PutPerson", nothing))
	p.at = p.at.Add(-2 * time.Hour) // the clock was set back while the broker was down
	p.open()
	p.must(p.act("PutPerson", nothing))
	all := p.records()
	if len(all) != 2 || all[0].Payload.Time.Boot == all[1].Payload.Time.Boot {
		t.Errorf("got %v; each life of the broker is a boot of its own", types(all))
	}
}

func TestAnEpochIsSealedAfterADay(t *testing.T) {
	p := newPlant(t)
	p.must(p.act("PutPerson", nothing))
	p.at = p.at.Add(24 * time.Hour)
	p.must(p.act("PutPerson", nothing)) // the seal goes before it, nobody has to wait for the task
	p.at = p.at.Add(23 * time.Hour)
	p.must(p.log.SealIfDue(t.Context()))
	p.at = p.at.Add(time.Hour)
	p.must(p.log.SealIfDue(t.Context()))
	p.at = p.at.Add(24 * time.Hour)
	p.must(p.log.SealIfDue(t.Context())) // an empty one
	p.must(p.log.SealIfDue(t.Context()))
	want := []record.Type{record.AdminAct, record.EpochSealed, record.AdminAct, record.EpochSealed, record.EpochSealed}
	if got := types(p.records()); len(got) != len(want) || got[1] != want[1] || got[3] != want[3] || got[4] != want[4] {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestABrokerThatWasAwayForAMonthSealsWhatIsOverdueFirst(t *testing.T) {
	p := newPlant(t)
	p.must(p.act("PutPerson", nothing))
	p.at = p.at.AddDate(0, 1, 0)
	p.open()
	p.must(p.act("PutPerson", nothing))
	if got := types(p.records()); len(got) != 3 || got[1] != record.EpochSealed {
		t.Errorf("got %v", got)
	}
}

func TestAnEpochIsSealedAfterAThousandRecords(t *testing.T) {
	p := newPlant(t)
	p.must(p.store.Update(t.Context(), func(tx *store.Tx) error {
		for range 2100 {
			if err := p.log.Write(tx, acts.Act{Method: "PutPerson", Actor: "anna"}); err != nil {
				return err
			}
		}
		return nil
	}))
	all := p.records()
	if n := count(all, record.EpochSealed); n != 2 || all[record.SealRecords-1].Payload.Seal == nil {
		t.Errorf("%d seals among %d records", n, len(all))
	}
}

func TestTheKeyOfASealedEpochIsGone(t *testing.T) {
	p := newPlant(t)
	secret := func() (key []byte) {
		p.must(p.store.View(t.Context(), func(tx *store.Tx) error {
			c, err := tx.LastChain(acts.Station("plant"))
			if err != nil {
				return err
			}
			key, err = tx.Secret("acts " + string(c.ID))
			return err
		}))
		return key
	}
	p.must(p.act("PutPerson", nothing))
	before := secret()
	p.at = p.at.Add(25 * time.Hour)
	p.must(p.log.SealIfDue(t.Context()))
	if bytes.Equal(secret(), before) {
		t.Error("the key of the sealed epoch is still there")
	}
}
