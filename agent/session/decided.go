package session

import (
	"cmp"
	"slices"
	"time"

	"tapline/proto/record"
)

func (e Decided) apply(s *step) {
	a := e.Answer
	if s.pending == nil || s.pending.Session != a.Session {
		s.giveBack(a, AgentStopped) // nobody waits for it any more
		return
	}
	tap := *s.pending
	s.pending = nil
	switch {
	case s.claim.tap == a.Session:
		s.claimDecided(tap, a)
	case s.stale == a.Session:
		s.staleDecided(tap, a)
	case a.Allowed && a.Session == s.revoked:
		s.giveBack(a, RevokedCause)
		s.held = nil
		s.refuse(tap, nil, Answer{Refusal: RevokedCause, Person: a.Person, Decision: a.Decision, Latency: a.Latency})
	case a.Allowed:
		s.begin(tap, a)
	default:
		s.turnedDown(tap, a)
	}
	s.next()
}

// giveBack returns the lease of a session that does not begin.
func (s *step) giveBack(a Answer, cause record.Reason) {
	if a.Allowed && a.Lease != nil {
		s.do(Release{Session: a.Session, Fence: a.Lease.Fence, Cause: cause})
	}
}

// refuse records a tap that did not become a session, and tells the person. h is what it waited for; nil if it did not wait.
func (s *step) refuse(tap Tap, h *held, a Answer) {
	if a.Refusal == "" {
		a.Refusal = "policy"
	}
	s.recordRefusal(tap, h, cmp.Or(a.Session, tap.Session), a)
	s.do(Tell{Notice{
		Kind: Refused, Reason: a.Refusal, HelpCode: a.HelpCode, Person: a.Person, Reader: tap.Reader,
		Lasts: max(noticeLasts, a.RetryAfter),
	}})
}

// recordRefusal records a try that was not enough. try is the name under which it was asked about.
func (s *step) recordRefusal(tap Tap, h *held, try record.SessionID, a Answer) {
	p := record.Payload{
		Type: record.TapRefused, Person: a.Person.ID, Badge: badgeOf(tap, a.Factors), Second: secondOf(h, a),
		Reader: string(tap.Reader), Reason: a.Refusal, Latency: latencyOf(a), Mode: s.mode(),
	}
	if a.Decision.By != "" {
		decision := a.Decision
		p.Decision = &decision
	}
	s.do(Record{Payload: p, Tap: try})
}

// begin opens the session, or takes over from the one in force: then one record names both.
func (s *step) begin(tap Tap, a Answer) {
	before := s.open
	decision := a.Decision
	p := record.Payload{
		Type: record.SessionOpened, Session: a.Session, Person: a.Person.ID, Account: a.Account, Mode: lesserMode(a.Terms.Mode, s.Mode(s.rules.Mode)),
		Badge: badgeOf(tap, a.Factors), Second: secondOf(s.held, a), Reader: string(tap.Reader), Decision: &decision, Lease: leaseOf(a.Lease), Latency: latencyOf(a),
	}
	if before.id != "" {
		p.Type = record.SessionHandedOver
		p.From = &record.From{Session: before.id, Person: before.person.ID}
	}
	s.open, s.account = s.newOpen(tap, a), a.Account
	s.held = nil
	s.do(Record{Payload: p, Tap: tap.Session})
	s.leaveEmergency(TapIn)
	s.do(Show{s.Presence()})
	if before.lease != nil && a.Lease == nil { // the broker doesn't know of the hand-over
		s.do(Release{Session: before.id, Fence: before.lease.Fence, Cause: HandOver})
	}
	if s.left {
		s.gone(tap.Reader, s.open.cardGrace)
	}
}

func (s *step) newOpen(tap Tap, a Answer) open {
	r, t := s.rules, a.Terms
	o := open{
		id: a.Session, person: a.Person, badge: tap.Badge, second: coPresent(s.held, a), account: a.Account, lease: a.Lease, by: a.Decision.By,
		mode: lesserMode(t.Mode, s.Mode(r.Mode)), asksMode: t.Mode, reader: tap.Reader, presence: tap.Presence, since: s.now, touched: s.now,
		seen: s.now, factors: badgeOf(tap, a.Factors).Factors,
		idle: cmp.Or(t.Idle, r.Idle), idleWarning: cmp.Or(t.IdleWarning, r.IdleWarning),
		leaveTheCard: t.LeaveTheCard || r.LeaveTheCard, cardGrace: cmp.Or(t.CardGrace, r.CardGrace),
		endsAt: t.EndsAt, endsWhy: ShiftEnd,
	}
	if r.Longest > 0 {
		if longest := s.now.Add(r.Longest); o.endsAt.IsZero() || longest.Before(o.endsAt) {
			o.endsAt, o.endsWhy = longest, Expired
		}
	}
	if warn := o.endsAt.Add(-r.EndWarning); r.EndWarning > 0 && !o.endsAt.IsZero() && warn.After(s.now) {
		o.endWarnAt = warn
	}
	o.extendAt = s.extendAt(a.Lease)
	return o
}

// lesserMode is the mode of a session: what the broker asks for, and never more than the station's own. An empty one says nothing.
func lesserMode(asked, own record.Mode) record.Mode {
	ladder := []record.Mode{record.ModeAttribute, record.ModeGate, record.ModeLock, record.ModeSignIn}
	a, o := slices.Index(ladder, asked), slices.Index(ladder, own)
	if a < 0 || o >= 0 && o < a {
		return own
	}
	return asked
}

// extendAt is two thirds into a lease.
func (s *step) extendAt(l *Lease) time.Time {
	if l == nil || l.ExpiresAt.IsZero() {
		return time.Time{}
	}
	return s.now.Add(max(0, l.ExpiresAt.Sub(s.now)) * 2 / 3)
}

// end closes the session in force.
func (s *step) end(cause record.Reason) {
	o := s.open
	s.open = open{}
	s.do(Record{Payload: closed(o, cause)})
	s.do(Show{s.Presence()})
	if cause != TapOutCause && cause != AgentStopped { // else the person knows
		s.do(Tell{Notice{Kind: Ended, Reason: cause, Person: o.person, Reader: o.reader, Lasts: endedLasts}})
	}
	if o.lease != nil {
		s.do(Release{Session: o.id, Fence: o.lease.Fence, Cause: cause})
	}
}

// closed is the record of a session's end.
func closed(o open, cause record.Reason) record.Payload {
	return record.Payload{
		Type: record.SessionClosed, Session: o.id, Person: o.person.ID, Account: o.account, Lease: leaseOf(o.lease),
		Reason: cause, Mode: o.mode,
	}
}

func badgeOf(tap Tap, factors []string) *record.Badge {
	if len(factors) == 0 {
		factors = []string{"badge"}
	}
	return &record.Badge{Ref: tap.Badge.Ref, Technology: tap.Badge.Technology, Assurance: tap.Badge.Assurance, Factors: factors}
}

func leaseOf(l *Lease) *record.Lease {
	if l == nil {
		return nil
	}
	return &record.Lease{ID: l.ID, Fence: l.Fence}
}

func latencyOf(a Answer) *record.Latency {
	if a.Latency == (record.Latency{}) {
		return nil
	}
	l := a.Latency
	return &l
}
