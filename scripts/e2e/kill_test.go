//go:build linux

package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tapline/proto/record"
	"tapline/proto/record/evidence"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/scripts/rig"
)

// kills is how often something is killed in the present suite.
func kills() int {
	switch os.Getenv("TAPLINE_SUITE") {
	case "long":
		return 200
	case "full":
		return 40
	}
	return 20
}

// While people tap, agent, broker and PC/SC service are killed at random moments. Afterwards everything that anybody was promised must be in the
// evidence: what the station showed, what the broker gave a receipt for, once each, and every session with its end.
func TestNothingAcknowledgedIsLostWhenProcessesAreKilled(t *testing.T) {
	p, s, crew := staffed(t, 4, "Reader A", "Reader B", "Reader C")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	k := killer{t: t, plant: p, station: s, crew: crew, random: rand.New(rand.NewPCG(seed, 0)), receipts: map[record.Seq]record.Hash{}}
	for round := range kills() {
		k.round(round)
		if t.Failed() {
			return
		}
	}
	k.finish()
	checkEvidence(t, p, s, k.receipts)
}

type killer struct {
	t        *testing.T
	plant    *rig.Plant
	station  *rig.Station
	crew     []rig.Person
	random   *rand.Rand
	taps     int
	receipts map[record.Seq]record.Hash // what the broker acknowledged, as the agent had it before each kill
}

// round taps somebody, kills something meanwhile, brings it back, and sees that the station works.
func (k *killer) round(n int) {
	k.t.Helper()
	slot := n % 3
	who := k.next()
	card, err := k.plant.Lay(within(k.t, 10*time.Second), slot, who.UID)
	if err != nil {
		k.t.Fatal(err)
	}
	after := time.NewTimer(time.Duration(k.random.IntN(600)) * time.Millisecond)
	<-after.C
	k.note()
	k.victim()
	_ = card.Remove() // the reader may be dead
	if _, err := k.station.Tap(within(k.t, 20*time.Second), (slot+1)%3, k.next().UID, named); err != nil {
		k.t.Fatalf("round %d: %v", n, err)
	}
}

// named is wanted when anybody is there: which of two quick taps won is not this test's question.
func named(s rig.Seen) bool {
	return s.Presence.GetState() == taplinev1.PresenceState_PRESENCE_STATE_NAMED && s.Notice == nil
}

func (k *killer) next() rig.Person {
	k.taps++
	return k.crew[k.taps%len(k.crew)]
}

// victim kills one of the three and brings it back.
func (k *killer) victim() {
	k.t.Helper()
	var err error
	switch k.random.IntN(3) {
	case 0:
		if err = k.station.Agent.Kill(); err == nil {
			err = k.station.Start(k.t.Context())
		}
	case 1:
		if err = k.plant.Broker.Kill(); err == nil {
			err = k.plant.StartBroker(k.t.Context())
		}
	default:
		if err = k.plant.PCSC.Kill(); err == nil {
			err = k.plant.PCSC.Restart()
		}
		if err == nil {
			err = k.attached()
		}
	}
	if err != nil {
		k.t.Fatal(err)
	}
}

// attached waits until the agent sees its readers again.
func (k *killer) attached() error {
	return k.station.AwaitStatus(k.t.Context(), func(st *taplinev1.GetStatusResponse) bool {
		n := 0
		for _, r := range st.GetReaders() {
			if r.GetAttached() {
				n++
			}
		}
		return n >= 3
	})
}

// note keeps the receipt that the agent holds now.
func (k *killer) note() {
	k.t.Helper()
	b, err := os.ReadFile(filepath.Join(k.station.Journal(), "receipt.dsse.json"))
	if os.IsNotExist(err) {
		return
	}
	if err != nil {
		k.t.Fatal(err)
	}
	trust, err := evidence.ReadTrust(filepath.Join(k.station.Journal(), "trust.json"))
	if err != nil {
		k.t.Fatal(err)
	}
	r := readReceipt(k.t, trust, b)
	k.receipts[r.Seq] = r.Head
}

func readReceipt(t *testing.T, trust record.Trust, b []byte) record.Receipt {
	t.Helper()
	e, err := record.ParseEnvelope(bytes.TrimSpace(b))
	if err != nil {
		t.Fatal(err)
	}
	r, err := trust.Receipt(e)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// finish ends the session in force and lets everything drain.
func (k *killer) finish() {
	k.t.Helper()
	ctx := within(k.t, 60*time.Second)
	who, err := k.station.Local.WhoIsHere(ctx, &taplinev1.WhoIsHereRequest{})
	if err != nil {
		k.t.Fatal(err)
	}
	if id := who.GetPresence().GetSession(); id != "" {
		if _, err := k.station.Local.EndSession(ctx, &taplinev1.EndSessionRequest{Session: id}); err != nil {
			k.t.Fatal(err)
		}
	}
	if err := k.station.AwaitDrained(ctx); err != nil {
		k.t.Fatal(err)
	}
}

// checkEvidence holds the broker's evidence against the station's journal, its screen and the receipts.
func checkEvidence(t *testing.T, p *rig.Plant, s *rig.Station, receipts map[record.Seq]record.Hash) {
	t.Helper()
	dir := export(t, p)
	v := verify(t, p, dir)
	verify(t, p, s.Journal())
	stored, journal := records(t, dir), records(t, s.Journal())
	if len(stored) == 0 || len(stored) > len(journal) {
		t.Fatalf("broker has %d records, station %d", len(stored), len(journal))
	}
	for i, have := range stored {
		if !bytes.Equal(have.raw, journal[i].raw) {
			t.Errorf("record %d differs between broker and station", i+1)
		}
		if have.payload.Seq != record.Seq(i+1) {
			t.Errorf("record %d stands at place %d", have.payload.Seq, i+1)
		}
	}
	for seq, head := range receipts {
		if seq == 0 {
			continue
		}
		if int(seq) > len(stored) || stored[seq-1].hash != head {
			t.Errorf("record %d had a receipt and is lost or another now", seq)
		}
	}
	sessions := sessionsOf(stored)
	for _, one := range s.Shown(0) {
		id := one.Presence.GetSession()
		if id == "" || one.Presence.GetState() != taplinev1.PresenceState_PRESENCE_STATE_NAMED {
			continue
		}
		end, ok := sessions[id]
		if !ok {
			t.Errorf("the station showed session %s of %s, and no record has it", id, one.Presence.GetPerson().GetId())
		} else if end == "" {
			t.Errorf("session %s has no end", id)
		}
	}
	t.Logf("%d records, %d sessions, %d receipts noted", v.Records, len(sessions), len(receipts))
}

type stored struct {
	raw     []byte
	hash    record.Hash
	payload record.Payload
}

// records reads every record of the station in an evidence folder.
func records(t *testing.T, path string) []stored {
	t.Helper()
	chains, err := evidence.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []stored
	for _, c := range chains {
		all = append(all, recordsOf(t, c)...)
	}
	return all
}

// recordsOf reads the records of a chain; none of a chain that is another station's, such as the broker's own.
func recordsOf(t *testing.T, c evidence.Chain) (all []stored) {
	t.Helper()
	for raw, err := range c.Records() {
		if err != nil {
			t.Fatal(err)
		}
		e, err := record.ParseEnvelope(raw)
		if err != nil {
			t.Fatal(err)
		}
		pl, err := e.Payload()
		if err != nil {
			t.Fatal(err)
		}
		if pl.Station != press {
			return nil
		}
		all = append(all, stored{slices.Clone(raw), e.Hash(), pl})
	}
	return all
}

// sessionsOf maps each session to how it ended; empty for one that did not.
func sessionsOf(all []stored) map[string]string {
	sessions := map[string]string{}
	for _, one := range all {
		id := string(one.payload.Session)
		switch one.payload.Type {
		case record.SessionOpened:
			sessions[id] = ""
		case record.SessionHandedOver:
			sessions[id] = ""
			sessions[string(one.payload.From.Session)] = "handed over"
		case record.SessionClosed:
			sessions[id] = fmt.Sprint("closed: ", one.payload.Reason)
		}
	}
	return sessions
}
