package session

import (
	"cmp"
	"time"

	"tapline/proto/record"
)

// Words of answers that make a tap wait instead of ending it.
const (
	pinNeeded    record.Reason = "pin-needed"
	pinWrong     record.Reason = "pin-wrong"
	approval     record.Reason = "approval-needed"
	secondPerson record.Reason = "second-person-needed"
)

// want is what a held tap waits for.
type want string

const (
	wantsNothing want = ""
	wantsPIN     want = "pin"
	wantsSecond  want = "second"
)

// wantOf is what could turn a refusal into a permission, at this station and now.
func wantOf(refusal record.Reason) want {
	switch refusal {
	case pinNeeded:
		return wantsPIN
	case approval, secondPerson:
		return wantsSecond
	}
	return wantsNothing
}

// held is a tap that waits for something that a person has to do. While its answer is on the way State.pending is set as well.
type held struct {
	tap    Tap // as it came; its Session names it to EnterPin
	wants  want
	until  time.Time
	left   bool          // its badge has left the reader
	person Person        // whose badge it is, if that is known
	why    record.Reason // of the last try that was not enough; empty before one
	answer Answer        // that made it wait, for the record of its end

	second *Tap // another person's badge that came with it
	part   record.Part
}

// Held names the tap that waits for a person; empty for none.
func (s State) Held() record.SessionID {
	if s.held == nil {
		return ""
	}
	return s.held.tap.Session
}

// Waiting is what the station tells about the tap that waits; false when none does.
func (s State) Waiting(now time.Time) (Notice, bool) {
	h := s.held
	if h == nil || s.pending != nil {
		return Notice{}, false
	}
	n := Notice{
		Kind: PINNeeded, Reason: h.why, Person: h.person, Reader: h.tap.Reader, Session: h.tap.Session, Until: h.until,
		Lasts: max(0, h.until.Sub(now)),
	}
	if h.wants == wantsSecond {
		n.Kind, n.Reason = SecondNeeded, cmp.Or(h.why, h.answer.Refusal)
	}
	return n, true
}

// hold makes a tap wait. What it was given so far, such as a second person's badge, stays with it.
func (s *step) hold(tap Tap, a Answer, w want) {
	h := held{tap: tap, left: s.left}
	if s.held != nil {
		h = *s.held
	}
	within := s.rules.PINWithin
	if h.wants = w; w == wantsSecond {
		within = s.rules.SecondWithin
		s.claim = claim{} // the next tap is for one thing: what the panel said last
		h.second, h.part = nil, record.Approver
		if a.Refusal == secondPerson {
			h.part = record.CoPresent
		}
	}
	h.person, h.answer, h.why, h.until = a.Person, a, "", s.now.Add(within)
	s.held = &h
	s.tellHeld()
}

func (s *step) tellHeld() {
	if n, ok := s.Waiting(s.now); ok {
		s.do(Tell{n})
	}
}

// meetHeld is a tap while another one waits for somebody.
func (s *step) meetHeld(tap Tap) {
	h := *s.held
	switch {
	case tap.Badge.Ref == h.tap.Badge.Ref: // the same person looks what is missing
		h.left = false
		s.held = &h
		s.tellHeld()
	case h.wants == wantsSecond && !due(h.until, s.now):
		h.second = &tap
		s.held = &h
		s.ask(h, tap.Spare, PIN{})
	default:
		s.callOff(Overtaken)
		s.take(tap)
	}
}

// ask asks again about the tap that waits, under another name and with what it has by now.
func (s *step) ask(h held, next record.SessionID, pin PIN) {
	tap := h.tap
	tap.Session = next
	s.pending, s.left = &tap, h.left
	s.do(Decide{Tap: tap, From: s.open.id, PIN: pin, Second: h.second})
}

// callOff refuses the tap that waits.
func (s *step) callOff(cause record.Reason) {
	a := s.held.answer
	a.Refusal, a.HelpCode = cause, ""
	s.giveUp(a)
}

// giveUp refuses the tap that waits, by an answer.
func (s *step) giveUp(a Answer) {
	h := *s.held
	s.held = nil
	if a.Person.ID == "" { // the station said so before anybody looked whose badge it is
		a.Person = h.person
	}
	s.refuse(h.tap, &h, a)
}

// turnedDown is an answer that did not let a tap in: it waits for what is missing, or it is refused.
func (s *step) turnedDown(tap Tap, a Answer) {
	w := wantOf(a.Refusal)
	switch {
	case s.held == nil && w == wantsNothing:
		s.refuse(tap, nil, a)
	case s.held == nil:
		s.hold(tap, a, w)
	case a.Refusal == pinWrong:
		s.wrongPIN(tap, a)
	case w == wantsSecond && s.held.wants == wantsSecond && s.held.second != nil:
		s.notEnough(a)
	case w != wantsNothing && !due(s.held.until, s.now):
		s.keepLeft()
		s.hold(tap, a, w)
	default:
		s.giveUp(a)
	}
}

// keepLeft notes whether the badge of the tap that waits has left while it was decided.
func (s *step) keepLeft() {
	h := *s.held
	h.left = s.left
	s.held = &h
}

// heldTick refuses the tap that has waited long enough.
func (s *step) heldTick() {
	if s.held != nil && s.pending == nil && due(s.held.until, s.now) {
		s.giveUp(s.held.answer)
	}
}
