package session_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/store"
	"tapline/proto/record"
)

const (
	oneStation   = `@id("one-station") @refusal("elsewhere") forbid (principal, action == Action::"openSession", resource) when { context.elsewhere };`
	followPerson = `@id("follow") permit (principal, action == Action::"moveSession", resource);`
	seniorsFirst = `@id("seniors") permit (principal, action == Action::"displaceSession", resource) when { principal.seniority > context.holder.seniority };`
)

// zone describes the press's zone.
func (p *plant) zone(z *taplinev1.Zone) {
	p.Helper()
	z.Id = "hot"
	p.station(&taplinev1.Station{Id: string(press), Zone: "hot", Account: account})
	p.update(func(tx *store.Tx) error {
		_, err := tx.PutZone(z)
		return err
	})
}

// change changes a person.
func (p *plant) change(id record.PersonID, how func(*taplinev1.PersonEntry)) {
	p.Helper()
	p.update(func(tx *store.Tx) error {
		e, err := tx.Person(id)
		if err != nil {
			return err
		}
		e.Revision = 0
		how(e)
		if _, err = tx.PutPerson(e); err != nil {
			return err
		}
		return tx.Changed()
	})
}

// endOf is why a session's lease ended; empty while it is in force.
func (p *plant) endOf(session string) string {
	p.Helper()
	var cause string
	p.must(p.Store.View(p.Context(), func(tx *store.Tx) error {
		l, err := tx.LeaseOf(record.SessionID(session))
		cause = l.Cause
		return err
	}))
	return cause
}

// roomy lets two sessions have the account.
func (p *plant) roomy() {
	p.update(func(tx *store.Tx) error {
		_, err := tx.PutAccount(&taplinev1.Account{Id: account, Capacity: 2, Stations: []string{"plant/"}})
		return err
	})
}

func TestOnePersonAtOneStation(t *testing.T) {
	t.Run("without a rule a person may be at two", func(t *testing.T) {
		p := newPlant(t)
		p.roomy()
		p.allowed(press, tap(annas))
		p.allowed(packing, tap(annas))
	})
	t.Run("with a rule the second tap is refused, and the first session goes on", func(t *testing.T) {
		p := newPlant(t)
		p.roomy()
		p.rules(oneStation)
		first := tap(annas)
		p.allowed(press, first)
		p.refused(packing, tap(annas), "ELSEWHERE")
		if cause := p.endOf(first.GetSession()); cause != "" {
			t.Errorf("the first session ended: %s", cause)
		}
		p.allowed(packing, tap(bens))
	})
	t.Run("where the session may move the first one ends because the person is elsewhere", func(t *testing.T) {
		p := newPlant(t) // the account is exclusive: the first session's lease makes room for the second one's
		p.rules(oneStation + followPerson)
		first := tap(annas)
		before := p.allowed(press, first).GetLease().GetFence()
		r := p.allowed(packing, tap(annas))
		if cause := p.endOf(first.GetSession()); cause != "elsewhere" {
			t.Errorf("the first session's end: %q", cause)
		}
		if d := cmp.Diff([]string{"follow", "known-people"}, r.GetDecision().GetRules()); d != "" {
			t.Error(d)
		}
		if r.GetLease().GetFence() <= before {
			t.Errorf("fence %d after %d", r.GetLease().GetFence(), before)
		}
	})
	t.Run("a move that comes to nothing ends nothing", func(t *testing.T) {
		p := newPlant(t)
		p.roomy()
		p.rules(oneStation + followPerson)
		third := record.StationID("plant/packing/line-2/hmi-2")
		p.station(&taplinev1.Station{Id: string(third), Account: "lab"})
		p.update(func(tx *store.Tx) error {
			return tx.SetStationState(third, taplinev1.StationState_STATION_STATE_ENROLLED, "")
		})
		p.hire("p-3", nobodys, "operator")
		p.station(&taplinev1.Station{Id: string(press), Account: "lab"})
		first := tap(annas)
		p.allowed(packing, first)
		p.allowed(third, tap(nobodys)) // has the exclusive account "lab", which the press runs under too
		p.refused(press, tap(annas), "LEASE_HELD")
		if cause := p.endOf(first.GetSession()); cause != "" {
			t.Errorf("the session ended for nothing: %s", cause)
		}
	})
}

func TestASeniorTakesTheAccount(t *testing.T) {
	p := newPlant(t)
	p.rules(seniorsFirst)
	p.change("p-2", func(e *taplinev1.PersonEntry) { e.Seniority = 5 })
	annasTap, bensTap := tap(annas), tap(bens)
	before := p.allowed(press, annasTap).GetLease().GetFence()
	r := p.allowed(packing, bensTap)
	if cause := p.endOf(annasTap.GetSession()); cause != "revoked" {
		t.Errorf("the displaced session's end: %q", cause)
	}
	if d := cmp.Diff([]string{"known-people", "seniors"}, r.GetDecision().GetRules()); d != "" {
		t.Error(d)
	}
	if r.GetLease().GetFence() <= before {
		t.Errorf("fence %d after %d", r.GetLease().GetFence(), before)
	}
	refusal := p.refused(press, tap(annas), "LEASE_HELD") // not the other way round
	if d := cmp.Diff([]string{"known-people"}, refusal.GetDecision().GetRules()); d != "" {
		t.Error(d)
	}
	if cause := p.endOf(bensTap.GetSession()); cause != "" {
		t.Errorf("the senior's session ended: %s", cause)
	}
}

func TestOfSeveralTheLeastSeniorGivesWay(t *testing.T) {
	p := newPlant(t)
	p.roomy()
	p.rules(seniorsFirst)
	p.change("p-1", func(e *taplinev1.PersonEntry) { e.Seniority = 3 })
	p.change("p-2", func(e *taplinev1.PersonEntry) { e.Seniority = 2 })
	p.hire("p-3", nobodys, "operator")
	p.change("p-3", func(e *taplinev1.PersonEntry) { e.Seniority = 9 })
	third := record.StationID("plant/packing/line-2/hmi-2")
	p.station(&taplinev1.Station{Id: string(third), Account: account})
	p.update(func(tx *store.Tx) error {
		return tx.SetStationState(third, taplinev1.StationState_STATION_STATE_ENROLLED, "")
	})
	annasTap, bensTap := tap(annas), tap(bens)
	p.allowed(press, annasTap)
	p.allowed(packing, bensTap)
	p.allowed(third, tap(nobodys))
	if a, b := p.endOf(annasTap.GetSession()), p.endOf(bensTap.GetSession()); a != "" || b != "revoked" {
		t.Errorf("ends %q and %q", a, b)
	}
}

func TestAPermitForEverythingDisplacesNobody(t *testing.T) {
	p := newPlant(t)
	p.rules(`@id("everything") permit (principal, action, resource);` + oneStation)
	first := tap(annas)
	p.allowed(press, first)
	p.refused(packing, tap(bens), "LEASE_HELD")
	p.refused(packing, tap(annas), "ELSEWHERE")
	if cause := p.endOf(first.GetSession()); cause != "" {
		t.Errorf("the session ended: %s", cause)
	}
}

func TestWhenAZoneAsksForAPIN(t *testing.T) {
	given := func(p *plant) {
		r := p.allowed(press, withPIN(tap(annas), "2468"))
		if len(r.GetFactors()) != 2 {
			p.Errorf("factors %v", r.GetFactors())
		}
	}
	for _, row := range []struct {
		says  string
		rule  *taplinev1.PinRules
		story func(p *plant)
	}{
		{"always: also right after one", &taplinev1.PinRules{Always: true}, func(p *plant) {
			p.refused(press, tap(annas), "PIN_NEEDED")
			given(p)
			p.refused(press, tap(annas), "PIN_NEEDED")
		}},
		{"at the first use of a shift: once", &taplinev1.PinRules{FirstOfShift: true}, func(p *plant) {
			p.refused(press, tap(annas), "PIN_NEEDED")
			given(p)
			p.at = p.at.Add(6 * time.Hour)
			p.allowed(press, tap(annas))
			p.at = p.at.Add(7 * time.Hour)
			p.refused(press, tap(annas), "PIN_NEEDED")
		}},
		{"with a weak badge", &taplinev1.PinRules{WeakBelow: taplinev1.Assurance_ASSURANCE_READER_VOUCHES}, func(p *plant) {
			p.refused(press, tap(annas), "PIN_NEEDED")
			p.allowed(press, with(tap(annas), func(r *taplinev1.OpenSessionRequest) { r.Badge.Assurance = 2 }))
			given(p)
		}},
		{"after a long absence", &taplinev1.PinRules{AfterIdle: durationpb.New(time.Hour)}, func(p *plant) {
			p.refused(press, tap(annas), "PIN_NEEDED")
			given(p)
			p.at = p.at.Add(3 * time.Hour) // she is still there
			req := tap(annas)
			l := p.allowed(press, req).GetLease()
			_, err := p.Close(p.Context(), press, &taplinev1.CloseSessionRequest{
				Session: req.GetSession(), Fence: l.GetFence(), Cause: taplinev1.EndCause_END_CAUSE_TAP_OUT,
			})
			p.must(err)
			p.at = p.at.Add(59 * time.Minute)
			again := tap(annas)
			p.allowed(press, again)
			p.endAll()
			p.at = p.at.Add(61 * time.Minute)
			p.refused(press, tap(annas), "PIN_NEEDED")
		}},
		{"and at another station not", &taplinev1.PinRules{Always: true}, func(p *plant) { p.allowed(packing, tap(annas)) }},
	} {
		t.Run(row.says, func(t *testing.T) {
			p := newPlant(t)
			p.TB = t
			p.pin("p-1", "2468")
			p.zone(&taplinev1.Zone{Pin: row.rule})
			row.story(p)
		})
	}
}

func TestAPINIsFreshInItsOwnShift(t *testing.T) {
	p := newPlant(t)
	p.pin("p-1", "2468")
	p.zone(&taplinev1.Zone{Pin: &taplinev1.PinRules{FirstOfShift: true}})
	p.update(func(tx *store.Tx) error {
		_, err := tx.PutShift(&taplinev1.Shift{Id: "early", TimeZone: "UTC", Windows: []*taplinev1.ShiftWindow{
			{Days: []uint32{1, 2, 3, 4, 5}, Begin: 5 * 60, End: 13 * 60},
		}})
		return err
	})
	p.change("p-1", func(e *taplinev1.PersonEntry) { e.Shifts = []string{"early"} })
	end := p.allowed(press, withPIN(tap(annas), "2468")).GetTerms().GetEndsAt().AsTime()
	if want := time.Date(2026, 11, 23, 13, 0, 0, 0, time.UTC); !end.Equal(want) {
		t.Errorf("the session ends %s, the shift %s", end, want)
	}
	p.at = p.at.Add(6 * time.Hour)
	p.allowed(press, tap(annas))
	p.at = p.at.Add(2 * time.Hour)
	p.refused(press, tap(annas), "SHIFT")
	p.at = time.Date(2026, 11, 24, 5, 0, 0, 0, time.UTC)
	p.refused(press, tap(annas), "PIN_NEEDED")
}

func TestTermsOfAZone(t *testing.T) {
	p := newPlant(t)
	p.zone(&taplinev1.Zone{Mode: taplinev1.Mode_MODE_GATE, Idle: durationpb.New(5 * time.Minute), Longest: durationpb.New(2 * time.Hour)})
	r := p.allowed(press, tap(annas))
	terms := r.GetTerms()
	if terms.GetMode() != taplinev1.Mode_MODE_GATE || terms.GetIdle().AsDuration() != 5*time.Minute || !terms.GetEndsAt().AsTime().Equal(p.at.Add(2*time.Hour)) {
		t.Errorf("terms %v", terms)
	}
	if !r.GetLease().GetExpiresAt().AsTime().Equal(p.at.Add(2 * time.Hour)) {
		t.Errorf("the lease outlives the session: %s", r.GetLease().GetExpiresAt().AsTime())
	}
	p.station(&taplinev1.Station{Id: string(press), Zone: "hot", Account: account, Mode: taplinev1.Mode_MODE_ATTRIBUTE, Terms: &taplinev1.SessionTerms{
		Idle: durationpb.New(time.Hour),
	}})
	if terms := p.allowed(press, tap(annas)).GetTerms(); terms.GetMode() != taplinev1.Mode_MODE_ATTRIBUTE || terms.GetIdle().AsDuration() != time.Hour {
		t.Errorf("the station's own word does not count: %v", terms)
	}
	p.zone(&taplinev1.Zone{Safety: true, RequiresAssurance: taplinev1.Assurance_ASSURANCE_SYMMETRIC_PROOF})
	p.refused(press, tap(annas), "ASSURANCE")
	strong := with(tap(annas), func(r *taplinev1.OpenSessionRequest) { r.Badge.Assurance = 3 })
	if m := p.allowed(press, strong).GetTerms().GetMode(); m != taplinev1.Mode_MODE_ATTRIBUTE {
		t.Errorf("a safety station enforces: %s", m)
	}
}

func TestAnExtensionKeepsToTheZonesLongestSession(t *testing.T) {
	p := newPlant(t)
	p.zone(&taplinev1.Zone{Longest: durationpb.New(2 * time.Hour)})
	req := tap(annas)
	began := p.at
	l := p.allowed(press, req).GetLease()
	p.at = p.at.Add(90 * time.Minute)
	r, err := p.Extend(t.Context(), press, &taplinev1.ExtendSessionRequest{Session: req.GetSession(), Fence: l.GetFence()})
	p.must(err)
	if end := r.GetLease().GetExpiresAt().AsTime(); !end.Equal(began.Add(2 * time.Hour)) {
		t.Errorf("extended until %s, the session may last until %s", end, began.Add(2*time.Hour))
	}
}
