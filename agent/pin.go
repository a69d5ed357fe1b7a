package agent

import (
	"context"
	"time"

	"tapline/agent/session"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// try is what came of a PIN.
type try struct {
	answer session.Answer
	here   bool // the session has begun
	waits  bool // the tap waits on
	asked  bool // false: no tap waited for a PIN under that name
}

// EnterPin answers the PIN that a tap waits for. It returns when the decision, and the record of it, is there; a wrong PIN is a decision. An error of kind
// wire.NotFound says that the tap does not wait for a PIN (any more).
func (a *Agent) EnterPin(ctx context.Context, tap, pin string) (*taplinev1.Decision, error) {
	got, err := a.loop.enterPIN(ctx, record.SessionID(tap), session.NewPIN(pin))
	switch {
	case err != nil:
		return nil, wire.E(wire.Unavailable, "%w", err)
	case !got.asked:
		return nil, wire.E(wire.NotFound, "no tap %s waits for a PIN: tap again", tap)
	}
	d := &taplinev1.Decision{
		Allowed: got.here, PolicyVersion: got.answer.Decision.Policy, Rules: got.answer.Decision.Rules, HelpCode: got.answer.HelpCode,
	}
	if !got.here {
		d.Refusal, d.RetryAfter = refusalOf(got.answer.Refusal), length(got.answer.RetryAfter)
	}
	return d, nil
}

// enterPIN posts a PIN and waits for the decision.
func (l *loop) enterPIN(ctx context.Context, tap record.SessionID, pin session.PIN) (try, error) {
	tried := make(chan try, 1)
	err := l.post(ctx, input{
		event: session.PINEntered{Session: tap, Next: newSession(), PIN: pin}, read: readTiming{at: time.Now()}, tried: tried,
	})
	if err != nil {
		return try{}, err
	}
	select {
	case t := <-tried:
		return t, nil
	case <-l.ended:
		return try{}, errEnded
	case <-ctx.Done():
		return try{}, ctx.Err()
	}
}

// tell tells those who wait for what comes of a PIN.
func (l *loop) tell(in input, effects []session.Effect) {
	switch e := in.event.(type) {
	case session.PINEntered:
		for _, effect := range effects {
			if d, ok := effect.(session.Decide); ok && d.Tap.Session == e.Next && in.tried != nil {
				l.tries[e.Next] = in.tried
				return
			}
		}
		if in.tried != nil {
			in.tried <- try{}
		}
	case session.Decided:
		if l.state.Held() != "" {
			l.timings.waits(e.Answer.Session)
		}
		if to := l.tries[e.Answer.Session]; to != nil {
			delete(l.tries, e.Answer.Session)
			to <- try{answer: e.Answer, here: l.state.Session() == e.Answer.Session, waits: l.state.Held() != "", asked: true}
		}
	}
}

// tellTries lets go of those who still wait when the station stops.
func (l *loop) tellTries() {
	for _, to := range l.tries {
		to <- try{}
	}
	clear(l.tries)
}

// waits is the tap that waits for a person, for those who begin to watch.
func (l *loop) waits() *session.Notice {
	n, ok := l.state.Waiting(time.Now())
	if !ok {
		return nil
	}
	return &n
}
