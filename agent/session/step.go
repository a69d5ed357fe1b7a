package session

import (
	"time"

	"tapline/proto/record"
	"tapline/reader"
)

// noticeLasts is how long a refusal stays on the panel.
const noticeLasts = 5 * time.Second

// endedLasts is how long the panel says that a session has ended by itself: the person may have looked away.
const endedLasts = 30 * time.Second

// Step takes in e at the time now, which never goes back, and gives the state after it and what is to be done.
func (r Rules) Step(s State, e Event, now time.Time) (State, []Effect) {
	st := step{rules: r, State: s, now: now}
	e.apply(&st)
	st.accountForUse()
	return st.State, st.effects
}

// step is one call of Step.
type step struct {
	State
	rules   Rules
	now     time.Time
	effects []Effect
}

func (s *step) do(e Effect) { s.effects = append(s.effects, e) }

// apply sorts out bounces. Each sighting renews the bounce, so that a badge that flickers in the reader's field never becomes a second tap.
func (e Tapped) apply(s *step) {
	if s.stopped {
		return
	}
	tap := e.Tap
	bounced := tap.Badge.Ref == s.seen.ref && s.now.Sub(s.seen.at) < s.rules.Bounce
	s.seen = seen{tap.Badge.Ref, s.now}
	switch {
	case s.pending == nil && s.open.id != "" && tap.Badge.Ref == s.open.badge.Ref && !s.open.goneAt.IsZero():
		s.cardBack(tap)
	case bounced && s.pending != nil && s.pending.Badge.Ref == tap.Badge.Ref:
		s.left = false // it is there again
	case bounced:
	case s.pending != nil:
		s.queue(tap)
	default:
		s.present(tap)
	}
}

// present takes up a tap when no other is being decided.
func (s *step) present(tap Tap) {
	if s.held != nil {
		s.meetHeld(tap)
		return
	}
	s.take(tap)
}

// cardBack goes on with a session whose badge was gone for less than the grace time.
func (s *step) cardBack(tap Tap) {
	s.open.goneAt = time.Time{}
	s.open.reader, s.open.presence, s.open.seen = tap.Reader, tap.Presence, s.now
	s.touch()
	s.do(Show{s.Presence()})
}

// queue keeps the last tap that came while another is being decided.
func (s *step) queue(tap Tap) {
	if s.queued != nil {
		s.refuse(*s.queued, nil, Answer{Refusal: Overtaken})
	}
	s.queued = &tap
}

// take begins with a tap when no other is being decided or waits.
func (s *step) take(tap Tap) {
	if s.claims(tap) {
		return
	}
	if who, leaves, here := s.open.isHere(tap.Badge.Ref); here {
		s.again(tap, who, leaves)
		return
	}
	s.pending, s.left = &tap, false
	s.do(Decide{Tap: tap, From: s.open.id})
}

// again is a tap of the person who is there: it asks, and a tap while it asks is an answer.
// who it is, and why the session then ends, depends on whether it is the person or the second one.
func (s *step) again(tap Tap, who Person, leaves record.Reason) {
	asking := s.now.Before(s.open.askUntil) && s.open.asked == tap.Badge.Ref
	if asking && s.rules.TapOut == Confirm && (!s.open.leaveTheCard || leaves == SecondLeft) {
		s.end(leaves)
		return
	}
	if leaves == TapOutCause {
		s.open.reader, s.open.presence, s.open.seen = tap.Reader, tap.Presence, s.now
	}
	s.touch()
	s.open.askUntil, s.open.asked = s.now.Add(s.rules.Ask), tap.Badge.Ref
	s.do(Tell{Notice{Kind: AlreadyHere, Lasts: s.rules.Ask, Person: who, Reader: tap.Reader}})
}

func (s *step) touch() { s.open.touched, s.open.warned = s.now, false }

// next takes up the tap that waited.
func (s *step) next() {
	if s.queued == nil {
		return
	}
	tap := *s.queued
	s.queued = nil
	s.present(tap)
}

func (e Left) apply(s *step) {
	if s.pending != nil && s.pending.Reader == e.Reader {
		s.left = true
		return // the badge on this reader is the pending one, so that of the session left before
	}
	s.goneHeld(e.Reader)
	s.gone(e.Reader, s.open.cardGrace)
}

// goneHeld notes that the badge of a tap that waits has left.
func (s *step) goneHeld(at reader.Name) {
	if s.held != nil && s.held.tap.Reader == at {
		h := *s.held
		h.left = true
		s.held = &h
	}
}

// gone begins the grace time of a session whose badge lay on the reader.
func (s *step) gone(at reader.Name, grace time.Duration) {
	o := &s.open
	if o.id != "" && o.leaveTheCard && o.presence && o.reader == at && o.goneAt.IsZero() {
		o.goneAt = s.now.Add(grace)
		s.do(Tell{Notice{Kind: CardGone, Lasts: grace, Person: o.person, Reader: at}})
	}
}

func (e Unreadable) apply(s *step) {
	if s.stopped {
		return
	}
	again := s.unread.reader == e.Reader && s.unread.reason == e.Reason && s.now.Sub(s.unread.at) < s.rules.Bounce
	s.unread = unread{e.Reader, e.Reason, s.now}
	if !again {
		s.do(Record{Payload: record.Payload{Type: record.TapRefused, Reader: string(e.Reader), Reason: record.Reason(e.Reason), Mode: s.mode()}})
	}
	s.do(Tell{Notice{Kind: CannotRead, Reason: record.Reason(e.Reason), Reader: e.Reader, Lasts: noticeLasts}})
}

func (e Attached) apply(s *step) {
	s.do(Record{Payload: record.Payload{Type: record.ReaderAttached, Reader: string(e.Reader), Mode: s.mode()}})
	s.do(Tell{Notice{Kind: ReaderChanged, Reader: e.Reader}})
}

func (e Detached) apply(s *step) {
	s.do(Record{Payload: record.Payload{Type: record.ReaderDetached, Reader: string(e.Reader), Reason: record.Reason(e.Reason), Mode: s.mode()}})
	s.do(Tell{Notice{Kind: ReaderChanged, Reader: e.Reader, Reason: record.Reason(e.Reason)}})
	if s.pending != nil && s.pending.Reader == e.Reader {
		s.left = true
	}
	s.goneHeld(e.Reader)
	s.gone(e.Reader, s.rules.ReaderGrace)
}

func (Input) apply(s *step) {
	if s.open.id == "" {
		s.inputWithoutAnybody()
		return
	}
	warned := s.open.warned
	s.touch()
	if warned {
		s.do(Show{s.Presence()}) // the warning is over
	}
}

func (e EndAsked) apply(s *step) {
	switch {
	case e.Session == "":
	case e.Session == s.open.id:
		s.end(TapOutCause)
	case e.Session == s.Held() && s.pending == nil:
		s.callOff(CalledOff)
	case e.Session == s.emergency && !s.stopped: // an emergency goes on in the next run
		s.endEmergency(EndedHere)
	}
}

func (e Revoked) apply(s *step) {
	s.revoked = e.Session
	if e.Session == s.open.id && e.Session != "" {
		s.end(e.Cause)
	}
}

func (e Found) apply(s *step) {
	p := e.Begun
	s.do(Record{Payload: record.Payload{
		Type: record.SessionClosed, Session: p.Session, Person: p.Person, Account: p.Account, Lease: p.Lease,
		Reason: AgentDied, Mode: s.mode(),
	}})
	if p.Lease != nil {
		s.do(Release{Session: p.Session, Fence: p.Lease.Fence, Cause: AgentDied})
	}
}

func (Shutdown) apply(s *step) {
	if s.stopped {
		return
	}
	s.stopped = true
	s.dropTaps(AgentStopped)
	if s.open.id != "" {
		s.end(AgentStopped)
	}
}

// dropTaps refuses the taps that are not answered yet.
func (s *step) dropTaps(cause record.Reason) {
	if s.held != nil {
		s.pending = nil // it is the same tap
		s.callOff(cause)
	}
	for _, tap := range []*Tap{s.pending, s.queued} {
		if tap != nil {
			s.refuse(*tap, nil, Answer{Refusal: cause})
		}
	}
	s.pending, s.queued, s.claim.tap, s.stale = nil, nil, "", ""
}

// mode is the mode in force.
func (s *step) mode() record.Mode {
	if s.open.id != "" {
		return s.open.mode
	}
	return s.Mode(s.rules.Mode)
}
