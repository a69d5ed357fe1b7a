package session

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"tapline/proto/record"
)

// crisisJudge knows the laws of emergencies.
type crisisJudge struct {
	open    record.SessionID
	begun   map[record.SessionID]bool
	ended   map[record.SessionID]bool
	claims  map[record.SessionID][]record.PersonID
	claimed int // emergencies that two people answered for
}

// record reports whether the record is about an emergency, and what is wrong with it.
func (c *crisisJudge) record(p record.Payload) (mine bool, err error) {
	if c.begun == nil {
		c.begun, c.ended, c.claims = map[record.SessionID]bool{}, map[record.SessionID]bool{}, map[record.SessionID][]record.PersonID{}
	}
	switch {
	case p.Type == record.EmergencyOpened:
		if c.open != "" || c.begun[p.Session] {
			return true, fmt.Errorf("emergency %s begins while %q is open", p.Session, c.open)
		}
		c.begun[p.Session], c.open = true, p.Session
		return true, nil
	case p.Type == record.EmergencyClaimed:
		return true, c.claim(p)
	case p.Type == record.SessionClosed && c.begun[p.Session]:
		if p.Session != c.open {
			return true, fmt.Errorf("emergency %s ends while %q is open", p.Session, c.open)
		}
		c.open, c.ended[p.Session] = "", true
		return true, nil
	}
	return false, nil
}

func (c *crisisJudge) claim(p record.Payload) error {
	id := p.Claim.Emergency
	switch got := c.claims[id]; {
	case !c.begun[id]:
		return fmt.Errorf("%s answers for %s, which never was", p.Person, id)
	case slices.Contains(got, p.Person):
		return fmt.Errorf("%s answers for %s twice", p.Person, id)
	case len(got) >= ClaimsNeeded:
		return fmt.Errorf("%s answers for %s, for which %v have answered", p.Person, id, got)
	case len(got) == ClaimsNeeded-1:
		c.claimed++
	}
	c.claims[id] = append(c.claims[id], p.Person)
	return nil
}

// show: what is shown as open is open, or its record is the next thing to be written.
func (c *crisisJudge) show(who Presence) error {
	if id := who.Emergency.ID; c.ended[id] || id == "" && c.open != "" {
		return fmt.Errorf("shows emergency %q while %q is open", id, c.open)
	}
	return nil
}

// law: whatever happened before, a press opens the station, at once; every emergency that began is in force or has ended; each is remembered until enough people
// have answered for it.
func (c *crisisJudge) law(rules Rules, s State, e Event, effects []Effect, now time.Time) error {
	if c.open != s.Emergency().ID {
		return fmt.Errorf("the state is in emergency %q, the records in %q", s.Emergency().ID, c.open)
	}
	for id := range c.begun {
		waits := slices.ContainsFunc(s.Unclaimed(), func(e Emergency) bool { return e.ID == id })
		if missing := ClaimsNeeded - len(c.claims[id]); waits != (missing > 0) {
			return fmt.Errorf("emergency %s has %d claims missing, and waits for them: %v", id, missing, waits)
		}
		if id != c.open && !c.ended[id] {
			return fmt.Errorf("emergency %s is neither in force nor ended", id)
		}
	}
	if _, ok := e.(EmergencyPressed); ok && !s.Stopped() {
		if show, ok := effects[0].(Show); !ok || show.Presence.Emergency.ID == "" || show.Presence.Session != "" && s.Session() != "" {
			return errors.New("a press does not open the station before anything else")
		}
	}
	if s.Stopped() {
		return nil
	}
	after, opened := rules.Step(s, EmergencyPressed{ID: "a press at any time"}, now)
	if show, ok := opened[0].(Show); !ok || show.Presence.Emergency.ID == "" || after.Emergency().ID == "" {
		return errors.New("a press now would not open the station")
	}
	return nil
}

// crisis makes something happen about an emergency.
func (p *plant) crisis() error {
	switch p.rng.IntN(6) {
	case 0:
		p.taps++
		return p.step(EmergencyPressed{ID: record.SessionID(fmt.Sprintf("e%d", p.taps)), Reason: "jam"})
	case 1:
		return p.step(EndAsked{p.state.Emergency().ID})
	default:
		var id record.SessionID = "none"
		if list := p.state.Unclaimed(); len(list) > 0 {
			id = list[p.rng.IntN(len(list))].ID
		}
		return p.step(ClaimAsked{Emergency: id})
	}
}
