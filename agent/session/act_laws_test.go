package session

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"tapline/proto/record"
)

// actJudge knows the laws of what is recorded in a person's name.
type actJudge struct {
	who    map[record.SessionID]record.PersonID
	signed map[record.SessionID]bool
	acts   int
}

// begins notes whose a session is.
func (a *actJudge) begins(p record.Payload) {
	if a.who == nil {
		a.who, a.signed = map[record.SessionID]record.PersonID{}, map[record.SessionID]bool{}
	}
	a.who[p.Session] = p.Person
}

// record: an action is of the session in force, in the name of the person whose it is; never while the station is open to anybody.
func (a *actJudge) record(p record.Payload, open, crisis record.SessionID) error {
	switch {
	case p.Session == "" || p.Session != open:
		return fmt.Errorf("an action of session %q while %q is open", p.Session, open)
	case crisis != "":
		return fmt.Errorf("an action in session %s while emergency %s is open", p.Session, crisis)
	case p.Person != a.who[p.Session]:
		return fmt.Errorf("an action of %s in the session of %s", p.Person, a.who[p.Session])
	case (p.Action.Meaning != "") != (p.Badge != nil):
		return fmt.Errorf("an action with meaning %q and badge %+v", p.Action.Meaning, p.Badge)
	}
	a.acts++
	if p.Action.Meaning != "" {
		a.signed[p.Session] = true
	}
	return nil
}

// law: whoever may sign is the person whose session is in force, and signs by badge and PIN until the session has a signature. An action is one record, or, when its
// session is not in force, nothing at all: it begins no session and ends none.
func (a *actJudge) law(s State, e Event, had record.SessionID, effects []Effect) error {
	if got := s.Signer(); got.Session != s.Session() || got.Session != "" && (got.Person.ID != a.who[got.Session] || got.Signed != a.signed[got.Session]) {
		return fmt.Errorf("signs as %+v in session %q of %q, signed: %t", got, s.Session(), a.who[s.Session()], a.signed[s.Session()])
	}
	act, ok := e.(Acted)
	if !ok {
		return nil
	}
	records := 0
	for _, effect := range effects {
		if _, ok := effect.(Record); ok {
			records++
		}
	}
	switch counts := act.Session != "" && act.Session == had && !s.Stopped(); {
	case s.Session() != had:
		return fmt.Errorf("an action turns session %q into %q", had, s.Session())
	case counts && records != 1:
		return fmt.Errorf("an action in session %s is %d records", act.Session, records)
	case !counts && len(effects) > 0:
		return errors.New("an action out of its session has effects")
	}
	return nil
}

// act makes somebody do something in an application. What time alone brings comes first, so that it is not taken for what the action brings.
func (p *plant) act() error {
	if err := p.step(Tick{}); err != nil {
		return err
	}
	e := Acted{Session: p.some(), Action: record.Action{Application: "mes", Name: "release", Digest: record.Hash{1}}, Decision: record.Decision{By: "broker"}}
	if p.rng.IntN(2) == 0 {
		e.Signed, e.Factors, e.Action.Meaning = true, []string{"badge", "pin"}, "released"
	}
	return p.step(e)
}

// Sign has whoever is at a station sign for something, as of the session that is there now.
func (r *scenario) Sign(station, meaning string) {
	r.SignIn(station, r.at(station).state.Session(), meaning)
}

// SignIn is Sign in a session that may have ended.
func (r *scenario) SignIn(station string, session record.SessionID, meaning string) {
	r.at(station).feed(Acted{
		Session: session, Action: record.Action{Application: "mes", Name: "release", Meaning: meaning, Digest: record.Hash{1}}, Signed: true,
		Factors: []string{"badge", "pin"}, Decision: record.Decision{By: "broker"},
	})
}

// Signed asserts whose signature a station would take, and whether the session has one already.
func (r *scenario) Signed(station, who string, signed bool) {
	r.t.Helper()
	if got := r.at(station).state.Signer(); string(got.Person.ID) != who || got.Signed != signed {
		r.t.Errorf("%s: %q signs, again: %t; want %q, %t", station, got.Person.ID, got.Signed, who, signed)
	}
}

func TestAnnaSignsAndBenStartsAnew(t *testing.T) {
	play(t, func(r *scenario) {
		r.Signed("press-4", "", false)
		r.As("anna").Tap("press-4")
		annas := r.at("press-4").state.Session()
		r.Signed("press-4", "anna", false)
		r.Sign("press-4", "reviewed")
		r.Wait(time.Minute)
		r.Sign("press-4", "released")
		r.Signed("press-4", "anna", true)
		r.As("ben").Tap("press-4")
		r.Signed("press-4", "ben", false) // his first takes his badge and his PIN
		r.SignIn("press-4", annas, "released")
		r.Signed("press-4", "ben", false)
		r.Sign("press-4", "approved")
		r.Press("press-4", "jam")
		r.Signed("press-4", "", false)
		r.Sign("press-4", "approved")
		r.Wait(time.Minute)
		r.As("ben").Tap("press-4")
		r.Signed("press-4", "ben", false) // another session, so another badge
		r.Here("press-4", "ben")
		r.Story("press-4", "opened anna", "operator.action anna", "operator.action anna", "handed-over from anna to ben", "operator.action ben",
			"emergency.opened: jam", "closed ben: emergency", "opened ben", "closed: tap-in")
	})
}

func TestSigningKeepsTheSessionFromEndingAsIdle(t *testing.T) {
	play(t, func(r *scenario) {
		r.rules.Idle = 10 * time.Minute
		r.As("anna").Tap("press-4")
		for range 4 {
			r.Wait(8 * time.Minute)
			r.Sign("press-4", "reviewed")
		}
		r.Here("press-4", "anna")
		r.Wait(11 * time.Minute)
		r.Here("press-4", "")
	})
}
