package record_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tapline/proto/record"
)

// start is when every test's chain begins.
var start = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)

// key is a private key that is the same on every run.
func key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("tapline test key " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func statement(station record.StationID, chain int, previous *record.ChainEnd) record.StationStatement {
	h := record.HashOf([]byte{byte(chain)}).String()
	id := record.ChainID(fmt.Sprintf("%s-%s-4%s-8%s-%s", h[:8], h[8:12], h[13:16], h[17:20], h[20:32]))
	identity, err := x509.MarshalPKIXPublicKey(key("identity of " + string(station)).Public())
	if err != nil {
		panic(err)
	}
	return record.StationStatement{
		V: record.Version, Station: station, Chain: id, IdentityKey: identity,
		FirstKey: record.PublicKeyOf(epochKey(id, 1)), EnrolledAt: start, Previous: previous,
	}
}

func epochKey(chain record.ChainID, epoch record.Epoch) ed25519.PrivateKey {
	return key(fmt.Sprintf("%s epoch %d", chain, epoch))
}

func at(d time.Duration) record.Time {
	return record.Time{Wall: start.Add(d), Boot: "boot-1", Monotonic: int64(time.Hour + d), State: record.ClockAgrees}
}

func heartbeat(d time.Duration) record.Payload {
	return record.Payload{Type: record.StationHeartbeat, Time: at(d), Beat: &record.Beat{Interval: 60, State: "idle"}}
}

// write signs p as the next record of c and commits it.
func write(t testing.TB, c *record.Chain, p record.Payload) record.Envelope {
	t.Helper()
	h := c.Head()
	e, err := c.Next(p, epochKey(h.Chain, h.Epoch))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Commit(e); err != nil {
		t.Fatal(err)
	}
	return e
}

func sealEpoch(t testing.TB, c *record.Chain, d time.Duration) record.Envelope {
	t.Helper()
	h := c.Head()
	e, err := c.Seal(record.Payload{Time: at(d)}, epochKey(h.Chain, h.Epoch), record.PublicKeyOf(epochKey(h.Chain, h.Epoch+1)))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Commit(e); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestChainThatWasWrittenChecks(t *testing.T) {
	st := statement("oslo/packing/line-1/hmi-1", 1, nil)
	c := record.NewChain(st)
	var raw [][]byte
	for i := range 5 {
		raw = append(raw, write(t, c, heartbeat(time.Duration(i)*time.Minute)).Bytes())
	}
	raw = append(raw, sealEpoch(t, c, time.Hour).Bytes(), write(t, c, heartbeat(2*time.Hour)).Bytes())
	for _, how := range []record.Check{record.CheckHead, record.CheckAll} {
		head, entries, err := record.CheckBatch(st.Head(), raw, how)
		if err != nil {
			t.Fatal(err)
		}
		if head != c.Head() || len(entries) != 7 {
			t.Errorf("got head %+v and %d entries, want %+v and 7", head, len(entries), c.Head())
		}
	}
}

func TestRecordThatWasNotCommittedLeavesNoTrace(t *testing.T) {
	st := statement("oslo/packing/line-1/hmi-1", 1, nil)
	c := record.NewChain(st)
	lost, err := c.Next(heartbeat(0), epochKey(st.Chain, 1))
	if err != nil {
		t.Fatal(err)
	}
	kept := write(t, c, heartbeat(time.Second))
	if _, _, err := record.CheckBatch(st.Head(), [][]byte{kept.Bytes()}, record.CheckAll); err != nil {
		t.Error(err)
	}
	if err := c.Commit(lost); !errors.Is(err, record.ErrNotNext) {
		t.Errorf("commit of a record that was given up: got %v, want %v", err, record.ErrNotNext)
	}
}

func TestChainRefusesToPassTheLimitsOfAnEpoch(t *testing.T) {
	st := statement("oslo/packing/line-1/hmi-1", 1, nil)
	c := record.NewChain(st)
	if c.SealDue(start.Add(23*time.Hour)) || !c.SealDue(start.Add(24*time.Hour)) || !c.SealDue(start.Add(-24*time.Hour)) {
		t.Error("a seal is due 24 h from the start of the epoch, on either side")
	}
	if _, err := c.Next(heartbeat(26*time.Hour), epochKey(st.Chain, 1)); !errors.Is(err, record.ErrSealDue) {
		t.Errorf("record after 26 h: got %v, want %v", err, record.ErrSealDue)
	}
	for range record.SealRecords - 1 {
		write(t, c, heartbeat(0))
	}
	if !c.SealDue(start) {
		t.Error("a seal is due when it would be record 1,000")
	}
	for c.Head().EpochRecords < record.MaxEpochRecords-1 {
		write(t, c, heartbeat(0))
	}
	if _, err := c.Next(heartbeat(0), epochKey(st.Chain, 1)); !errors.Is(err, record.ErrSealDue) {
		t.Errorf("record %d of an epoch: got %v, want %v", record.MaxEpochRecords, err, record.ErrSealDue)
	}
	sealEpoch(t, c, 0)
	write(t, c, heartbeat(0))
}

func TestChainWantsTheKeyOfItsEpoch(t *testing.T) {
	st := statement("oslo/packing/line-1/hmi-1", 1, nil)
	c := record.NewChain(st)
	sealEpoch(t, c, 0)
	if _, err := c.Next(heartbeat(0), epochKey(st.Chain, 1)); !errors.Is(err, record.ErrWrongKey) {
		t.Errorf("key of the sealed epoch: got %v, want %v", err, record.ErrWrongKey)
	}
}

func TestChainResumesFromItsRecordsAndFromAReceipt(t *testing.T) {
	st := statement("oslo/packing/line-1/hmi-1", 1, nil)
	c := record.NewChain(st)
	first := write(t, c, heartbeat(0))
	e, err := record.ReadEntry(first.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	head, fault := st.Head().Advance(e.Envelope, e.Payload)
	if fault != nil {
		t.Fatal(fault)
	}
	receipt := record.NewReceipt(c.Head(), start, "")
	for _, from := range []record.Head{head, receipt.Resume()} {
		again, err := record.ResumeChain(st, from)
		if err != nil {
			t.Fatal(err)
		}
		second := write(t, again, heartbeat(time.Minute))
		if _, _, err := record.CheckBatch(c.Head(), [][]byte{second.Bytes()}, record.CheckAll); err != nil {
			t.Error(err)
		}
	}
}

func TestMonotonicTimeIsRaisedToTheRecordBefore(t *testing.T) {
	st := statement("oslo/packing/line-1/hmi-1", 1, nil)
	c := record.NewChain(st)
	write(t, c, heartbeat(time.Minute))
	late := write(t, c, heartbeat(0))
	p, err := late.Payload()
	if err != nil {
		t.Fatal(err)
	}
	if want := at(time.Minute).Monotonic; p.Time.Monotonic != want {
		t.Errorf("got %d ns, want %d", p.Time.Monotonic, want)
	}
}

// A NUL in an identifier is no identifier: the broker keeps them as text, which on one of its stores holds none.
func TestNoIdentifierHasANUL(t *testing.T) {
	for field, spoil := range map[string]func(*record.Payload){
		"session":         func(p *record.Payload) { p.Session += "\x00" },
		"person":          func(p *record.Payload) { p.Person = "a\x00b" },
		"account":         func(p *record.Payload) { p.Account = "\x00" },
		"reason":          func(p *record.Payload) { p.Reason += "\x00" },
		"from.session":    func(p *record.Payload) { p.From = &record.From{Session: "s\x00"} },
		"claim.emergency": func(p *record.Payload) { p.Claim = &record.Claim{Emergency: "e\x00"} },
	} {
		e := golden(t).chains[0].entry(t, 1)
		p, err := e.Envelope.Payload()
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
		spoil(&p)
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), field+" has a NUL") {
			t.Errorf("%s: %v", field, err)
		}
	}
}
