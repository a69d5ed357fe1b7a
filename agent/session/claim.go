package session

import (
	"slices"
	"time"

	"tapline/proto/record"
)

// ClaimAsked: somebody wants to answer for an emergency. The next taps say who, until two different people have or nobody taps any more. They name people
// and begin no session, so that whoever works at the station stays.
type ClaimAsked struct {
	Emergency record.SessionID
	Note      string
}

// claim is the emergency that taps answer for just now; its id is empty when they do not.
type claim struct {
	id    record.SessionID
	note  string
	until time.Time
	tap   record.SessionID // the one that is being decided; empty for none
}

func (e ClaimAsked) apply(s *step) {
	i := s.crisis(e.Emergency)
	if s.stopped || i < 0 || s.crises[i].Missing == 0 {
		return
	}
	if s.held != nil && s.held.wants == wantsSecond && s.pending == nil { // whoever taps to answer for an emergency approves of nothing else by it
		s.callOff(Overtaken)
	}
	s.claim = claim{id: e.Emergency, note: e.Note, tap: s.claim.tap}
	s.waitForClaim(i, "")
}

// waitForClaim says that a tap is awaited. why is what was wrong with the last one.
func (s *step) waitForClaim(i int, why record.Reason) {
	s.claim.until = s.now.Add(s.rules.ClaimTap)
	s.do(Tell{Notice{Kind: ClaimTap, Reason: why, Emergency: s.claim.id, Missing: s.crises[i].Missing, Lasts: s.rules.ClaimTap}})
}

// claims takes a tap as an answer for an emergency, if one is awaited. The person who is at the station is known already; anybody else is asked about.
func (s *step) claims(tap Tap) bool {
	if s.claim.id == "" || due(s.claim.until, s.now) {
		return false
	}
	if who, _, here := s.open.isHere(tap.Badge.Ref); here && who.ID != "" {
		s.claimed(tap, Answer{Person: who, Decision: record.Decision{By: "station"}})
		return true
	}
	s.pending, s.left, s.claim.tap = &tap, false, tap.Session
	s.do(Decide{Tap: tap, NameOnly: true})
	return true
}

// claimDecided is the answer to who it is.
func (s *step) claimDecided(tap Tap, a Answer) {
	s.claim.tap = ""
	s.giveBack(a, EmergencyCause)
	if !a.Allowed || a.Person.ID == "" {
		s.refuse(tap, nil, a)
		return
	}
	s.claimed(tap, a)
}

// claimed records that a person answers for the emergency. The same person answers once.
func (s *step) claimed(tap Tap, a Answer) {
	i := s.crisis(s.claim.id)
	if i < 0 || s.crises[i].Missing == 0 {
		return // it took so long that it was given up, or others have answered
	}
	c := s.crises[i]
	if slices.Contains(c.claims, a.Person.ID) {
		s.waitForClaim(i, SamePerson)
		return
	}
	c.claims = append(slices.Clone(c.claims), a.Person.ID)
	c.Missing--
	decision := a.Decision
	s.change(i, c)
	s.do(Record{Tap: tap.Session, Payload: record.Payload{
		Type: record.EmergencyClaimed, Person: a.Person.ID, Account: c.account, Badge: badgeOf(tap, a.Factors), Reader: string(tap.Reader),
		Decision: &decision, Latency: latencyOf(a), Claim: &record.Claim{Emergency: c.ID, Note: s.claim.note}, Mode: s.mode(),
	}})
	s.do(Show{s.Presence()})
	if c.Missing > 0 {
		s.waitForClaim(i, "")
		return
	}
	s.claim = claim{}
	s.do(Tell{Notice{Kind: Claimed, Emergency: c.ID, Person: a.Person, Lasts: noticeLasts}})
}

// SamePerson says that somebody who has answered already tapped again.
const SamePerson record.Reason = "same-person"
