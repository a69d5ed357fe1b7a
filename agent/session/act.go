package session

import (
	"time"

	"tapline/proto/record"
)

// Acted: something is to be recorded in the name of the person at the station, such as a signature. It is, if the session is in force.
type Acted struct {
	Session record.SessionID
	Action  record.Action
	// Signed says that it is a signature; Factors are what the person showed for it, and Decision says who checked them.
	Signed   bool
	Factors  []string
	Decision record.Decision
}

func (e Acted) apply(s *step) {
	o := &s.open
	if s.stopped || e.Session == "" || e.Session != o.id {
		return
	}
	if e.Signed {
		o.signed = true
		s.touch()
	}
	action, decision := e.Action, e.Decision
	p := record.Payload{
		Type: record.OperatorAction, Session: o.id, Person: o.person.ID, Account: o.account, Action: &action, Decision: &decision, Mode: o.mode,
	}
	if e.Signed {
		p.Badge = badgeOf(Tap{Badge: o.badge}, e.Factors)
	}
	s.do(Record{Payload: p})
}

// Signer is the person at the station as somebody who may sign.
type Signer struct {
	Session record.SessionID
	Person  Person
	Badge   Badge
	Mode    record.Mode
	Factors []string // that opened the session
	Signed  bool     // in this session already
	// Seen is when the badge was last seen; Lying that it is on the reader now, and keeps the session open by it.
	Seen  time.Time
	Lying bool
}

// Signer is whoever is at the station; its session is empty for nobody.
func (s State) Signer() Signer {
	o := s.open
	if o.id == "" {
		return Signer{}
	}
	return Signer{
		Session: o.id, Person: o.person, Badge: o.badge, Mode: o.mode, Factors: o.factors, Signed: o.signed, Seen: o.seen,
		Lying: o.leaveTheCard && o.presence && o.goneAt.IsZero(),
	}
}
