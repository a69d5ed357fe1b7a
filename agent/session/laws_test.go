package session

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"tapline/proto/record"
	"tapline/reader"
)

// judge reads the effects of a station and knows the laws.
type judge struct {
	open    record.SessionID
	begun   map[record.SessionID]bool
	leases  map[record.SessionID]bool // granted and not given back
	decided map[record.SessionID]bool // taps that were answered, by session to be
	crisis  crisisJudge
	acts    actJudge
}

func newJudge() *judge {
	return &judge{begun: map[record.SessionID]bool{}, leases: map[record.SessionID]bool{}, decided: map[record.SessionID]bool{}}
}

func (j *judge) hear(effects []Effect) error {
	for _, e := range effects {
		switch e := e.(type) {
		case Record:
			if err := j.record(e.Payload); err != nil {
				return err
			}
		case Show:
			if err := j.crisis.show(e.Presence); err != nil {
				return err
			}
			if e.Presence.Emergency.ID != "" && e.Presence.Session == "" { // shown before the end of the session is recorded
				continue
			}
			if e.Presence.Session != j.open {
				return fmt.Errorf("shows session %q, the records say %q", e.Presence.Session, j.open)
			}
		case Release:
			if !j.leases[e.Session] {
				return fmt.Errorf("gives back the lease of %s, which it does not hold", e.Session)
			}
			delete(j.leases, e.Session)
		}
	}
	return nil
}

func (j *judge) record(p record.Payload) error {
	mine, err := j.crisis.record(p)
	switch {
	case err != nil:
		return err
	case mine:
		return valid(p)
	}
	switch p.Type {
	case record.SessionOpened, record.SessionHandedOver:
		var from record.SessionID
		if p.From != nil {
			from = p.From.Session
		}
		if from != j.open || (p.Type == record.SessionHandedOver) != (j.open != "") {
			return fmt.Errorf("%s from %q while %q is open", p.Type, from, j.open)
		}
		if j.begun[p.Session] {
			return fmt.Errorf("session %s begins twice", p.Session)
		}
		j.begun[p.Session] = true
		if err := lawOfTheSecondPerson(p); err != nil {
			return err
		}
		if p.Decision.By == "broker" { // which swapped the lease itself
			delete(j.leases, from)
		}
		j.open = p.Session
		j.acts.begins(p)
	case record.OperatorAction:
		if err := j.acts.record(p, j.open, j.crisis.open); err != nil {
			return err
		}
	case record.SessionClosed:
		if p.Session != j.open || p.Reason == "" {
			return fmt.Errorf("closes %q (%s) while %q is open", p.Session, p.Reason, j.open)
		}
		j.open = ""
	}
	return valid(p)
}

// valid says whether p can be a record.
func valid(p record.Payload) error {
	p.Version, p.Station, p.Chain, p.Seq, p.Epoch = 1, "a/b/c/d", "0190a1b2-0000-7000-8000-000000000001", 1, 1
	p.Time = record.Time{Wall: time.Unix(0, 0).UTC(), State: record.ClockUnanchored}
	if err := p.Validate(); err != nil {
		return fmt.Errorf("record %s: %w", p.Type, err)
	}
	return nil
}

// lawOfTheSecondPerson: whoever may not be here alone is recorded with somebody else, by another badge.
func lawOfTheSecondPerson(p record.Payload) error {
	want, needs := needsSecond[p.Badge.Ref]
	switch {
	case needs && (p.Second == nil || p.Second.Part != want || p.Second.Badge == nil):
		return fmt.Errorf("%s begins with %+v, want somebody as %s", p.Badge.Ref, p.Second, want)
	case p.Second != nil && p.Second.Badge.Ref == p.Badge.Ref:
		return fmt.Errorf("%s is the second person to themselves", p.Badge.Ref)
	case !needs && p.Second != nil:
		return fmt.Errorf("%s needs nobody, and has %+v", p.Badge.Ref, p.Second)
	}
	return nil
}

// plant makes random days at one station.
type plant struct {
	rng     *rand.Rand
	rules   Rules
	state   State
	now     time.Time
	judge   *judge
	taps    int
	waiting []Decide
	asked   time.Time // when the station last asked a person there
	whom    record.PersonID
	waited  int // taps that had to wait
	pending map[record.SessionID]record.BadgeRef
}

func newPlant(seed uint64) *plant {
	rng := rand.New(rand.NewPCG(seed, 1))
	rules := DefaultRules()
	if rng.IntN(2) == 0 {
		rules.TapOut = Never
	}
	if rng.IntN(3) == 0 {
		rules.Idle = 10 * time.Minute
	}
	rules.LeaveTheCard = rng.IntN(3) == 0
	return &plant{rng: rng, rules: rules, now: time.Unix(1e9, 0), judge: newJudge(), pending: map[record.SessionID]record.BadgeRef{}}
}

func (p *plant) step(e Event) error {
	var effects []Effect
	before, had, held := p.now, p.state.Session(), p.state.Held()
	p.state, effects = p.rules.Step(p.state, e, p.now)
	if err := p.judge.hear(effects); err != nil {
		return fmt.Errorf("%T at %s: %w", e, before, err)
	}
	if got := p.state.Session(); got != p.judge.open {
		return fmt.Errorf("%T: the state says %q, the records say %q", e, got, p.judge.open)
	}
	if err := p.lawOfWaiting(held, effects); err != nil {
		return fmt.Errorf("%T at %s: %w", e, before, err)
	}
	if err := p.judge.crisis.law(p.rules, p.state, e, effects, before); err != nil {
		return fmt.Errorf("%T at %s: %w", e, before, err)
	}
	if err := p.judge.acts.law(p.state, e, had, effects); err != nil {
		return fmt.Errorf("%T at %s: %w", e, before, err)
	}
	for _, effect := range effects {
		switch effect := effect.(type) {
		case Decide:
			if len(p.waiting) > 0 {
				return fmt.Errorf("%T: asks for two taps at once", e)
			}
			p.waiting = append(p.waiting, effect)
		case Tell:
			if effect.Notice.Kind == AlreadyHere {
				p.asked, p.whom = p.now, effect.Notice.Person.ID
			}
		}
	}
	if tap, ok := e.(Tapped); ok {
		return p.lawOfTheSameTap(tap, had, effects)
	}
	return nil
}

// lawOfTheSameTap: a tap ends no session unless the rules let it confirm, and then only one that the station asked about.
func (p *plant) lawOfTheSameTap(tap Tapped, had record.SessionID, effects []Effect) error {
	for _, e := range effects {
		r, ok := e.(Record)
		if !ok || r.Payload.Type != record.SessionClosed {
			continue
		}
		if p.rules.TapOut == Never || p.now.Sub(p.asked) >= p.rules.Ask || p.whom != record.PersonID(tap.Tap.Badge.Ref) {
			return fmt.Errorf("a tap of %s ended session %s without being asked", tap.Tap.Badge.Ref, had)
		}
	}
	return nil
}

// lawOfWaiting: a tap that waits is answered by one record that begins its session or refuses it, and never waits past its time.
func (p *plant) lawOfWaiting(held record.SessionID, effects []Effect) error {
	now := p.state.Held()
	if now != held && now != "" {
		p.waited++
	}
	if now != held && held != "" {
		ends := 0
		for _, e := range effects {
			if r, ok := e.(Record); ok && (r.Payload.Type == record.TapRefused || r.Payload.Decision != nil) {
				ends++
			}
		}
		if ends == 0 {
			return fmt.Errorf("tap %s waited and is forgotten", held)
		}
	}
	n, waits := p.state.Waiting(p.now)
	if next, ok := p.rules.Deadline(p.state); waits && (!ok || next.After(n.Until)) {
		return fmt.Errorf("tap %s waits until %s, and nobody looks before %s", now, n.Until, next)
	}
	if waits && n.Lasts > max(p.rules.PINWithin, p.rules.SecondWithin) {
		return fmt.Errorf("tap %s waits for another %s", now, n.Lasts)
	}
	return nil
}

var (
	people  = []record.BadgeRef{"anna", "ben", "cleo", "dora", "emil", "finn", "nobody"}
	readers = []reader.Name{"left", "right"}
	// needsSecond are the people who may not be there alone. Anybody but nobody will do.
	needsSecond = map[record.BadgeRef]record.Part{"emil": record.Approver, "finn": record.CoPresent}
	// needsPIN are those who need one.
	needsPIN = map[record.BadgeRef]bool{"dora": true, "finn": true}
)

// happen makes one random thing happen.
func (p *plant) happen() error {
	p.now = p.now.Add(time.Duration(p.rng.IntN(4000)) * time.Millisecond)
	if p.rng.IntN(20) == 0 {
		p.now = p.now.Add(time.Duration(p.rng.IntN(600)) * time.Minute)
	}
	at := readers[p.rng.IntN(len(readers))]
	switch n := p.rng.IntN(118); {
	case n >= 110:
		return p.act()
	case n >= 100:
		return p.crisis()
	case n < 35:
		ref := people[p.rng.IntN(len(people))]
		return p.step(Tapped{Tap{
			Session: p.name(), Spare: p.name() + "b", Reader: at, Badge: Badge{Ref: ref}, At: p.now, Presence: p.rng.IntN(2) == 0,
		}})
	case n < 54:
		return p.answer()
	case n < 62:
		return p.step(PINEntered{Session: p.some(), Next: p.name(), PIN: NewPIN([]string{"good", "bad"}[p.rng.IntN(2)])})
	case n < 70:
		return p.step(Left{at})
	case n < 80:
		return p.step(Tick{})
	case n < 84:
		return p.step(EndAsked{p.some()})
	case n < 87:
		return p.step(Revoked{Session: p.some(), Cause: RevokedCause})
	case n < 90:
		return p.step(Unreadable{at, reader.Mute})
	case n < 93:
		return p.step(Detached{at, reader.ReaderGone})
	case n < 95:
		return p.step(Attached{at})
	case n < 97:
		return p.step(Input{})
	default:
		return p.step(Extended{Session: p.some(), Reached: p.rng.IntN(2) == 0, Allowed: p.rng.IntN(3) > 0, ExpiresAt: p.now.Add(time.Hour)})
	}
}

func (p *plant) name() record.SessionID {
	p.taps++
	return record.SessionID(fmt.Sprintf("s%d", p.taps))
}

// some is the session in force, one that waits, or another.
func (p *plant) some() record.SessionID {
	if held := p.state.Held(); held != "" && p.rng.IntN(3) > 0 {
		return held
	}
	if p.rng.IntN(2) == 0 || p.taps == 0 {
		return p.state.Session()
	}
	return record.SessionID(fmt.Sprintf("s%d", 1+p.rng.IntN(p.taps)))
}

func (p *plant) answer() error {
	if len(p.waiting) == 0 {
		return nil
	}
	d := p.waiting[0]
	p.waiting = p.waiting[1:]
	a := Answer{Session: d.Tap.Session, Decision: record.Decision{By: "bundle"}}
	a.Person = Person{ID: record.PersonID(d.Tap.Badge.Ref)}
	if a.Refusal = p.missing(d); a.Refusal != "" {
		return p.step(Decided{a})
	}
	a.Allowed = true
	if d.Second != nil {
		a.Second = Person{ID: record.PersonID(d.Second.Badge.Ref)}
	}
	if p.rng.IntN(2) == 0 {
		a.Decision.By = "broker"
		a.Lease = &Lease{ID: "l", Fence: record.Fence(p.taps), ExpiresAt: p.now.Add(time.Hour)}
		p.judge.leases[a.Session] = true
	}
	return p.step(Decided{a})
}

// missing is what a tap is refused for; empty for nothing.
func (p *plant) missing(d Decide) record.Reason {
	ref := d.Tap.Badge.Ref
	part, two := needsSecond[ref]
	switch {
	case ref == "nobody" || p.rng.IntN(10) == 0:
		return "unknown-badge"
	case d.PIN.Typed() == "bad" && p.rng.IntN(5) == 0:
		return "pin-locked"
	case d.PIN.Typed() == "bad":
		return "pin-wrong"
	case two && (d.Second == nil || d.Second.Badge.Ref == "nobody"):
		return map[record.Part]record.Reason{record.Approver: "approval-needed", record.CoPresent: "second-person-needed"}[part]
	case needsPIN[ref] && d.PIN.Typed() != "good":
		return "pin-needed"
	}
	return ""
}

func TestLawsOverRandomDays(t *testing.T) {
	days := uint64(1500)
	if testing.Short() {
		days = 400
	}
	sessions, handed, waited, emergencies, claimed, acts := 0, 0, 0, 0, 0, 0
	for seed := range days {
		p := newPlant(seed)
		for range 150 {
			if err := p.happen(); err != nil {
				t.Fatalf("day %d: %v", seed, err)
			}
		}
		if err := p.step(Shutdown{}); err != nil {
			t.Fatalf("day %d: %v", seed, err)
		}
		for len(p.waiting) > 0 {
			if err := p.answer(); err != nil {
				t.Fatalf("day %d: %v", seed, err)
			}
		}
		if p.judge.open != "" || p.state.Session() != "" {
			t.Fatalf("day %d: session %s is open after the end", seed, p.judge.open)
		}
		if len(p.judge.leases) > 0 {
			t.Fatalf("day %d: leases kept: %v", seed, p.judge.leases)
		}
		sessions += len(p.judge.begun)
		handed += p.taps
		waited += p.waited
		emergencies += len(p.judge.crisis.begun)
		claimed += p.judge.crisis.claimed
		acts += p.judge.acts.acts
	}
	if waited < int(days) {
		t.Errorf("only %d taps waited for a PIN or a second person", waited)
	}
	if emergencies < int(days) || claimed < int(days)/10 {
		t.Errorf("only %d emergencies, %d of them claimed: the days are too quiet to prove anything", emergencies, claimed)
	}
	if acts < int(days) {
		t.Errorf("only %d actions in somebody's name", acts)
	}
	if sessions < int(days) {
		t.Errorf("only %d sessions of %d taps: the days are too quiet to prove anything", sessions, handed)
	}
}

func FuzzNoSequenceBreaksTheLaws(f *testing.F) {
	f.Add(uint64(1), 50)
	f.Fuzz(func(t *testing.T, seed uint64, n int) {
		p := newPlant(seed)
		for range min(max(n, 0), 1000) {
			if err := p.happen(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestTheSameStepTwiceIsTheSame(t *testing.T) {
	p := newPlant(7)
	for range 2000 {
		before, now := p.state, p.now
		e := Tapped{Tap{Session: "again", Reader: "left", Badge: Badge{Ref: people[p.rng.IntN(4)]}, At: now}}
		after1, effects1 := p.rules.Step(before, e, now)
		after2, effects2 := p.rules.Step(before, e, now)
		if !reflect.DeepEqual(after1, after2) || !reflect.DeepEqual(effects1, effects2) {
			t.Fatalf("two answers to one question:\n%+v\n%+v", effects1, effects2)
		}
		if err := p.happen(); err != nil {
			t.Fatal(err)
		}
	}
}
