package ingest_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/alarm"
	"tapline/broker/lease"
	"tapline/broker/store"
	"tapline/proto/record"
)

const account = record.AccountID("press-hmi")

func newSession(t testing.TB) record.SessionID {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return record.SessionID(id.String())
}

func opened(id record.SessionID, who record.PersonID, by string, l *record.Lease) record.Payload {
	return record.Payload{
		Type: record.SessionOpened, Mode: record.ModeAttribute, Session: id, Person: who, Account: account,
		Badge: &record.Badge{Assurance: 1}, Decision: &record.Decision{By: by}, Lease: l,
	}
}

func closed(id record.SessionID, why record.Reason) record.Payload {
	return record.Payload{Type: record.SessionClosed, Session: id, Reason: why}
}

// take takes a lease as an answer to a tap does.
func (p *pen) take(id record.SessionID, who record.PersonID) *record.Lease {
	p.Helper()
	var l store.Lease
	p.update(func(tx *store.Tx) (err error) {
		l, err = lease.Take(tx, lease.Want{Session: id, Station: p.station, Person: who, Account: account}, p.at)
		return err
	})
	return &record.Lease{ID: l.ID, Fence: l.Fence}
}

// say writes records and sends them as one batch.
func (p *pen) say(all ...record.Payload) {
	p.Helper()
	var batch [][]byte
	first := p.chain.Head().Seq + 1
	for _, one := range all {
		batch = append(batch, p.write(one))
	}
	if _, err := p.send(first, batch...); err != nil {
		p.Fatal(err)
	}
}

// row is what is said of a session.
type row struct {
	Kind    store.SessionKind
	Person  record.PersonID
	By      string
	Reason  record.Reason
	Open    bool
	Seconds int
}

// sessions are the station's, oldest first.
func (p *pen) sessions() []row {
	p.Helper()
	var rows []row
	p.view(func(tx *store.Tx) error {
		all, err := tx.Sessions(store.Filter{Stations: []string{string(p.station)}}, 100)
		for i := range all {
			s := all[len(all)-1-i]
			r := row{Kind: s.Kind, Person: s.Person, By: s.DecidedBy, Reason: s.Reason, Open: s.ClosedAt.IsZero()}
			if !r.Open {
				r.Seconds = int(s.ClosedAt.Sub(s.OpenedAt).Seconds())
			}
			rows = append(rows, r)
		}
		return err
	})
	return rows
}

func (p *pen) want(says string, want ...row) {
	p.Helper()
	if d := cmp.Diff(want, p.sessions()); d != "" {
		p.Errorf("%s: sessions (-want +got)\n%s", says, d)
	}
}

// held are the sessions that hold leases at the station.
func (p *pen) held() []record.SessionID {
	p.Helper()
	var ids []record.SessionID
	p.view(func(tx *store.Tx) error {
		all, err := tx.LeasesOfStation(p.station)
		for _, l := range all {
			ids = append(ids, l.Session)
		}
		return err
	})
	return ids
}

func (p *pen) wantHeld(says string, want ...record.SessionID) {
	p.Helper()
	if d := cmp.Diff(want, p.held()); d != "" {
		p.Errorf("%s: leases (-want +got)\n%s", says, d)
	}
}

func TestAnnaWorksBenTakesOverAndLeaves(t *testing.T) {
	p := newDesk(t).enrol(press)
	annas, bens := newSession(t), newSession(t)
	p.say(opened(annas, "p-1", "broker", p.take(annas, "p-1")))
	p.want("Anna works", row{Kind: store.Named, Person: "p-1", By: "broker", Open: true})
	p.wantHeld("Anna works", annas)
	p.at = p.at.Add(time.Minute)
	l := p.take(bens, "p-2")
	p.say(record.Payload{
		Type: record.SessionHandedOver, Session: bens, Person: "p-2", From: &record.From{Session: annas, Person: "p-1"}, Account: account,
		Decision: &record.Decision{By: "broker"}, Lease: l,
	})
	p.wantHeld("Ben works", bens)
	p.at = p.at.Add(time.Hour)
	p.say(closed(bens, "tap-out"))
	p.want("all have left",
		row{Kind: store.Named, Person: "p-1", By: "broker", Reason: "hand-over", Seconds: 60},
		row{Kind: store.Named, Person: "p-2", By: "broker", Reason: "tap-out", Seconds: 3600})
	p.wantHeld("all have left")
}

func TestAnEmergencyIsClaimedOnce(t *testing.T) {
	p := newDesk(t).enrol(press)
	id := newSession(t)
	p.say(record.Payload{Type: record.EmergencyOpened, Session: id})
	p.want("nobody has claimed it", row{Kind: store.Emergency, By: "station", Open: true})
	claim := record.Payload{Type: record.EmergencyClaimed, Person: "p-1", Claim: &record.Claim{Emergency: id}}
	second := claim
	second.Person = "p-2"
	p.say(claim, second, closed(id, "tap-out"))
	p.want("the first who claims it counts", row{Kind: store.Emergency, Person: "p-1", By: "station", Reason: "tap-out"})
}

func TestUnattributedUseIsASessionOfNobody(t *testing.T) {
	p := newDesk(t).enrol(press)
	p.say(record.Payload{Type: record.UnattributedBegan, Reason: "disk-full"})
	p.at = p.at.Add(time.Minute)
	p.say(record.Payload{Type: record.UnattributedEnded})
	p.say(record.Payload{Type: record.UnattributedBegan, Reason: "disk-full"})
	p.want("twice", row{Kind: store.Unattributed, By: "station", Seconds: 60}, row{Kind: store.Unattributed, By: "station", Open: true})
}

func TestASessionThatBeganOfflineIsAdopted(t *testing.T) {
	p := newDesk(t).enrol(press)
	id := newSession(t)
	p.say(opened(id, "p-1", "bundle", nil))
	p.want("she works", row{Kind: store.Named, Person: "p-1", By: "bundle", Open: true})
	p.wantHeld("she works", id)
	p.say(closed(id, "tap-out"))
	p.wantHeld("she has left")
}

func TestASessionThatIsOverWhenItIsHeardOfTakesNoLease(t *testing.T) {
	p := newDesk(t).enrol(press)
	one, two, three := newSession(t), newSession(t), newSession(t)
	p.say(opened(one, "p-1", "bundle", nil), closed(one, "tap-out"), opened(two, "p-2", "bundle", nil), closed(two, "idle"), opened(three, "p-1", "bundle", nil))
	p.wantHeld("the last one goes on", three)
}

func TestARecordThatComesLateEndsNoLaterLease(t *testing.T) {
	p := newDesk(t).enrol(press)
	offline, online := newSession(t), newSession(t)
	p.take(online, "p-2") // the line is back: Ben's tap was answered before Anna's records came
	p.say(opened(offline, "p-1", "bundle", nil))
	p.wantHeld("Ben's lease stands", online)
	p.say(closed(offline, "hand-over"))
	p.wantHeld("and goes on", online)
}

func TestTwoOfflineUnderOneAccountIsAnAlarm(t *testing.T) {
	d := newDesk(t)
	d.update(func(tx *store.Tx) error {
		_, err := tx.PutAccount(&taplinev1.Account{Id: string(account), Capacity: 1})
		return err
	})
	here, there := d.enrol(press), d.enrol(packing)
	annas, bens := newSession(t), newSession(t)
	here.say(opened(annas, "p-1", "broker", here.take(annas, "p-1")))
	there.say(opened(bens, "p-2", "bundle", nil))
	if _, ok := d.alarms(packing)[string(alarm.LeaseConflict)]; !ok {
		t.Errorf("alarms are %v, want %s", d.alarms(packing), alarm.LeaseConflict)
	}
	here.wantHeld("who has the lease keeps it", annas)
	there.wantHeld("who works has one too: that is what happened", bens)
}

func TestARecordCannotEndWhatAnotherStationHas(t *testing.T) {
	d := newDesk(t)
	mine, thief := d.enrol(press), d.enrol(packing)
	id := newSession(t)
	mine.say(opened(id, "p-1", "broker", mine.take(id, "p-1")))
	thief.say(closed(id, "tap-out"))
	thief.say(record.Payload{Type: record.EmergencyClaimed, Person: "p-9", Claim: &record.Claim{Emergency: id}})
	thief.say(opened(id, "p-9", "bundle", nil))
	mine.want("Anna works on", row{Kind: store.Named, Person: "p-1", By: "broker", Open: true})
	mine.wantHeld("Anna works on", id)
}

func TestASessionSaysHowFarItsTimesMayBeOff(t *testing.T) {
	p := newDesk(t).enrol(press)
	id := newSession(t)
	o := opened(id, "p-1", "bundle", nil)
	o.Time = p.time()
	o.Time.Error = 1500
	p.say(o, closed(id, "tap-out"))
	p.view(func(tx *store.Tx) error {
		s, err := tx.Session(id)
		if s.OpenedError != 1500*time.Millisecond || s.ClosedError != 0 || s.OpenedSeq != 1 || s.ClosedSeq != 2 {
			t.Errorf("got %+v", s)
		}
		return err
	})
}
