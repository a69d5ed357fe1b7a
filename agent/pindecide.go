package agent

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"tapline/agent/offline"
	"tapline/agent/session"
	"tapline/agent/tries"
	"tapline/proto/record"
)

// Words of a decision about a PIN.
const (
	pinNeeded record.Reason = "pin-needed"
	pinWrong  record.Reason = "pin-wrong"
	pinLocked record.Reason = "pin-locked"
)

// tryPIN decides a tap. A PIN is counted as a wrong one before anybody looks at it, and taken back when it was right, so that many at once, and pulling the
// plug, gain nothing. The broker counts as well; whichever of the two is stricter counts.
func (d *decider) tryPIN(ctx context.Context, ask session.Decide, mode record.Mode) session.Answer {
	if ask.PIN.IsZero() {
		return d.ask(ctx, ask, mode)
	}
	badge := ask.Tap.Badge.Ref
	if locked := d.pins.Begin(badge); locked > 0 {
		return session.Answer{Refusal: pinLocked, RetryAfter: locked.Round(time.Second), Decision: record.Decision{By: "station"}}
	}
	a := d.ask(ctx, ask, mode)
	switch {
	case a.Refusal == pinWrong:
	case a.Allowed, slices.Contains(a.Factors, "pin"):
		d.pins.Good(badge)
	default:
		d.pins.Unused(badge)
	}
	return a
}

// ask asks the broker, and the bundle when the broker gives no answer.
func (d *decider) ask(ctx context.Context, ask session.Decide, mode record.Mode) session.Answer {
	if a, ok := d.askBroker(ctx, ask, mode); ok {
		return a
	}
	return d.askBundle(ctx, ask)
}

// checkPIN checks a PIN against a grant. It is slow on purpose; whoever decides is not the station's loop. A person without a PIN has none that is right.
func (d *decider) checkPIN(ctx context.Context, verifier string, typed session.PIN) bool {
	if verifier == "" {
		return false
	}
	good, err := d.checker.Check(ctx, verifier, typed.Typed())
	if err != nil {
		d.log.Error("a PIN could not be checked", zap.Error(err))
	}
	return good
}

// openPeople opens what the station knows of people between two runs: wrong PINs, and who was here when.
func (a *Agent) openPeople() (err error) {
	dir := peopleDir(a.cfg.StateDir)
	if a.pins, err = tries.Open(tries.Config{Dir: dir, Now: a.clock.Trusted, Log: a.log.Named("pin")}); err != nil {
		return err
	}
	a.raiseClock()
	a.memory, err = offline.OpenMemory(offline.MemoryConfig{Dir: dir, Now: a.clock.Trusted, Log: a.log.Named("people")})
	return err
}
