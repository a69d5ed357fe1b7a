package session

import (
	"fmt"

	"tapline/proto/record"
)

// PIN is what a person typed. It hides itself from every formatting verb and encoder, and State never holds one.
type PIN struct{ digits string }

// NewPIN is a PIN as it was typed.
func NewPIN(typed string) PIN { return PIN{typed} }

// IsZero reports whether nothing was typed.
func (p PIN) IsZero() bool { return p.digits == "" }

// Typed is the PIN itself, for the broker and the verifier alone.
func (p PIN) Typed() string { return p.digits }

const hiddenPIN = "[PIN]"

func (p PIN) String() string { return hiddenPIN }

// Format hides it.
func (p PIN) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hiddenPIN)) }

// MarshalText hides it.
func (p PIN) MarshalText() ([]byte, error) { return []byte(hiddenPIN), nil }

// PINEntered is a PIN for the tap that waits for one.
type PINEntered struct {
	// Session names the tap, as the notice did.
	Session record.SessionID
	// Next is the session to be from now on: the broker takes a name once, and a try is a question of its own.
	Next record.SessionID
	PIN  PIN
}

func (e PINEntered) apply(s *step) {
	h := s.held
	if h == nil || s.pending != nil || h.wants != wantsPIN || h.tap.Session != e.Session || due(h.until, s.now) {
		return
	}
	s.ask(*h, e.Next, e.PIN)
}

// wrongPIN records a try and asks again, until the time is up.
func (s *step) wrongPIN(tap Tap, a Answer) {
	h := *s.held
	if due(h.until, s.now) {
		s.giveUp(a)
		return
	}
	s.recordRefusal(h.tap, &h, tap.Session, a)
	h.why = a.Refusal
	s.held = &h
	s.tellHeld()
}
