package session

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tapline/proto/record"
)

// scenario runs stations in one bubble of time. Its tests read as prose: r.As("anna").Tap("press-4").
type scenario struct {
	t        *testing.T
	rules    Rules
	terms    Terms
	slow     time.Duration     // what a decision takes
	strange  []string          // people that are refused
	pins     map[string]string // people who need a PIN, and which
	second   map[string]string // people who need another person, and the word that says what for
	leads    []string          // people whose badge counts as another person's
	locked   bool              // the PIN is locked
	stations map[string]*desk
	sessions int
}

// desk is one station.
type desk struct {
	r        *scenario
	state    State
	presence Presence
	notice   Notice
	story    []string

	answer   Answer // that is on its way
	answerAt time.Time
}

// actor is a person who does things.
type actor struct {
	r    *scenario
	name string
}

func play(t *testing.T, do func(r *scenario)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		do(&scenario{t: t, rules: DefaultRules(), pins: map[string]string{}, second: map[string]string{}, stations: map[string]*desk{}})
	})
}

func (r *scenario) at(station string) *desk {
	if r.stations[station] == nil {
		r.stations[station] = &desk{r: r}
	}
	return r.stations[station]
}

// As begins a sentence about a person.
func (r *scenario) As(name string) actor { return actor{r, name} }

// Tap taps the person's badge at a station and waits for the answer.
func (a actor) Tap(station string) {
	d := a.r.at(station)
	d.feed(Tapped{Tap{
		Session: a.r.name(), Spare: a.r.name() + "b", Reader: "reader", Presence: true,
		Badge: Badge{Ref: record.BadgeRef(a.name), Technology: "iso14443a", Assurance: 1}, At: time.Now(),
	}})
}

// name is a new session to be.
func (r *scenario) name() record.SessionID {
	r.sessions++
	return record.SessionID(fmt.Sprintf("s%d", r.sessions))
}

// EnterPIN types a PIN for the tap that waits at a station.
func (a actor) EnterPIN(station, pin string) {
	d := a.r.at(station)
	d.feed(PINEntered{Session: d.state.Held(), Next: a.r.name(), PIN: NewPIN(pin)})
}

// CallOff calls off the tap that waits at a station.
func (a actor) CallOff(station string) { a.r.at(station).feed(EndAsked{a.r.at(station).state.Held()}) }

// Take takes the person's badge off the reader of a station.
func (a actor) Take(station string) { a.r.at(station).feed(Left{"reader"}) }

// Leave ends the person's session on the panel of a station.
func (a actor) Leave(station string) { a.r.at(station).feed(EndAsked{a.r.at(station).state.Session()}) }

// feed lets one event happen; the answer to a question comes when its time has passed.
func (d *desk) feed(e Event) {
	var effects []Effect
	d.state, effects = d.r.rules.Step(d.state, e, time.Now())
	var ask *Decide
	for _, effect := range effects {
		switch effect := effect.(type) {
		case Record:
			d.tell(effect.Payload)
		case Show:
			d.presence, d.notice = effect.Presence, Notice{}
		case Tell:
			d.notice = effect.Notice
		case Decide:
			ask = &effect
		}
	}
	if ask != nil {
		if d.r.slow > 0 {
			d.answer, d.answerAt = d.r.decide(*ask), time.Now().Add(d.r.slow)
			return
		}
		d.feed(Decided{d.r.decide(*ask)})
	}
}

// decide answers as a broker does: a second person is asked for before a PIN, and a wrong PIN is said first of all.
func (r *scenario) decide(ask Decide) Answer {
	who := string(ask.Tap.Badge.Ref)
	a := Answer{Session: ask.Tap.Session, Decision: record.Decision{By: "bundle"}, Person: Person{ID: record.PersonID(who)}, Terms: r.terms}
	pin, needs := r.pins[who]
	helped := ask.Second != nil && slices.Contains(r.leads, string(ask.Second.Badge.Ref))
	if helped {
		a.Second = Person{ID: record.PersonID(ask.Second.Badge.Ref)}
	}
	switch {
	case slices.Contains(r.strange, who):
		a.Refusal = "unknown-badge"
	case !ask.PIN.IsZero() && r.locked:
		a.Refusal, a.RetryAfter = "pin-locked", time.Minute
	case !ask.PIN.IsZero() && ask.PIN.Typed() != pin:
		a.Refusal = "pin-wrong"
	case r.second[who] != "" && !helped:
		a.Refusal = record.Reason(r.second[who])
	case needs && ask.PIN.IsZero():
		a.Refusal = "pin-needed"
	default:
		a.Allowed = true
	}
	return a
}

func (d *desk) tell(p record.Payload) {
	line := strings.TrimPrefix(string(p.Type), "session.")
	switch {
	case p.From != nil:
		line = fmt.Sprintf("%s from %s to %s", line, p.From.Person, p.Person)
	case p.Person != "":
		line += " " + string(p.Person)
	}
	if p.Second != nil {
		line += fmt.Sprintf(" with %s as %s", cmp.Or(string(p.Second.Person), "somebody"), p.Second.Part)
	}
	if p.Reason != "" {
		line += ": " + string(p.Reason)
	}
	d.story = append(d.story, line)
}

// Wait lets time pass, with the ticks that are due.
func (r *scenario) Wait(d time.Duration) {
	end := time.Now().Add(d)
	for time.Now().Before(end) {
		next := end
		for _, desk := range r.stations {
			if t, ok := r.rules.Deadline(desk.state); ok && t.Before(next) {
				next = t
			}
			if t := desk.answerAt; !t.IsZero() && t.Before(next) {
				next = t
			}
		}
		pause := time.NewTimer(max(time.Until(next), time.Millisecond))
		<-pause.C
		for _, desk := range r.stations {
			if t := desk.answerAt; !t.IsZero() && !time.Now().Before(t) {
				desk.answerAt = time.Time{}
				desk.feed(Decided{desk.answer})
			}
			desk.feed(Tick{})
		}
	}
}

// Here asserts who is at a station; empty for nobody.
func (r *scenario) Here(station, name string) {
	r.t.Helper()
	if got := string(r.at(station).presence.Person.ID); got != name {
		r.t.Errorf("at %s is %q, want %q", station, got, name)
	}
}

// Story asserts the records of a station.
func (r *scenario) Story(station string, want ...string) {
	r.t.Helper()
	if got := r.at(station).story; !slices.Equal(got, want) {
		r.t.Errorf("story of %s\n got %q\nwant %q", station, got, want)
	}
}

// Says asserts what the panel of a station says.
func (r *scenario) Says(station string, kind NoticeKind) {
	r.t.Helper()
	if got := r.at(station).notice.Kind; got != kind {
		r.t.Errorf("%s says %q, want %q", station, got, kind)
	}
}
