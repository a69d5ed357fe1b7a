package agent

import (
	"context"
	"time"

	"tapline/agent/offline"
	"tapline/agent/session"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// verifyWithin is how long a signature waits for the broker before the station checks the PIN by itself. Whoever signs has no machine waiting.
const verifyWithin = 2 * time.Second

// SignAction records that the person at the station signed for something in an application (21 CFR 11.200). A signature has two components: the badge and the
// PIN. In a session, the first one takes both, the badge having been seen a moment ago; the next ones take the PIN, which is the person's alone. The record is
// durable when its envelope is handed out.
func (a *Agent) SignAction(ctx context.Context, req *taplinev1.SignActionRequest) (*taplinev1.SignActionResponse, error) {
	who, err := a.signer(ctx, record.SessionID(req.GetSession()))
	if err != nil {
		return nil, err
	}
	factors := []string{"pin"}
	if !who.Signed {
		if within := a.settings().Sign.BadgeWithin; !who.Lying && within > 0 && time.Since(who.Seen) > within {
			return nil, wire.E(wire.Precondition, "tap your badge: the first signature of a session needs it, and it was last seen %s ago", time.Since(who.Seen).Round(time.Minute))
		}
		factors = []string{"badge", "pin"}
	}
	decision, err := a.loop.cfg.Decider.verify(ctx, who, session.NewPIN(req.GetPin()))
	if err != nil {
		return nil, err
	}
	action := record.Action{Application: req.GetApplication(), Name: req.GetName(), Meaning: req.GetMeaning()}
	copy(action.Digest[:], req.GetDigest())
	e, err := a.act(ctx, session.Acted{Session: who.Session, Action: action, Signed: true, Factors: factors, Decision: decision})
	if err != nil {
		return nil, err
	}
	entry, err := record.ReadEntry(e)
	if err != nil {
		return nil, err
	}
	return &taplinev1.SignActionResponse{Envelope: e, Signer: toPerson(who.Person), Meaning: req.GetMeaning(), SignedAt: stamp(entry.Payload.Time.Wall)}, nil
}

// signer is the person at the station, whose session is on the disk and, if the caller named one, is that.
func (a *Agent) signer(ctx context.Context, want record.SessionID) (session.Signer, error) {
	var who session.Signer
	if err := a.loop.look(ctx, func(s session.State) { who = s.Signer() }); err != nil {
		return who, wire.E(wire.Unavailable, "%w", err)
	}
	now := a.hub.presence()
	switch {
	case want != "" && who.Session != want:
		return who, wire.E(wire.NotFound, "session %s is not in force", want)
	case who.Session == "" && now.GetEmergency() != nil:
		return who, wire.E(wire.Precondition, "the station is open in an emergency, and nobody is named: tap your badge first")
	case who.Session == "":
		return who, wire.E(wire.Precondition, "nobody is here: tap your badge first")
	case now.GetSession() != string(who.Session) || now.GetState() != taplinev1.PresenceState_PRESENCE_STATE_NAMED:
		return who, wire.E(wire.Precondition, "the session is not recorded yet, so nothing can be signed in it: try again once the journal can be written")
	}
	return who, nil
}

// act has something recorded and gives the envelope, once it is on the disk.
func (a *Agent) act(ctx context.Context, e session.Acted) ([]byte, error) {
	seq, err := a.loop.act(ctx, e)
	switch {
	case err != nil:
		return nil, wire.E(wire.Unavailable, "%w", err)
	case seq == noSession:
		return nil, wire.E(wire.Precondition, "the session has ended meanwhile: tap your badge first")
	case seq == 0:
		return nil, wire.E(wire.Unavailable, "the record could not be written in time, so this does not count; it may still be written, as one that nobody was given")
	}
	for b, err := range a.journal.Entries(seq) {
		return b, err
	}
	return nil, wire.E(wire.Internal, "record %d is gone", seq)
}

// noSession stands for the number of a record that there is not, because its session has ended.
const noSession = ^record.Seq(0)

// act posts what was done and gives the number of its record: 0 when it is not on the disk yet.
func (l *loop) act(ctx context.Context, e session.Acted) (record.Seq, error) {
	acted := make(chan record.Seq, 1)
	if err := l.post(ctx, input{event: e, acted: acted}); err != nil {
		return 0, err
	}
	select {
	case seq := <-acted:
		return seq, nil
	case <-l.ended:
		return 0, errEnded
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// recorded tells whoever waits for a record of their own.
func (in input) recorded(seq record.Seq, effects []session.Effect) {
	switch {
	case in.acted == nil:
	case len(effects) == 0:
		in.acted <- noSession
	default:
		in.acted <- seq
	}
}

// verify checks the PIN of the person at the station: by the broker, and by the grants when it gives no answer. Wrong ones count together with those at taps.
// An error says in its kind what is wrong: Denied the PIN, Busy too many wrong ones, Precondition that nobody can tell now.
func (d *decider) verify(ctx context.Context, who session.Signer, typed session.PIN) (record.Decision, error) {
	if locked := d.pins.Begin(who.Badge.Ref); locked > 0 {
		return record.Decision{}, tooMany(locked)
	}
	decision, good, known, err := d.verifyByBroker(ctx, who, typed)
	if !known && err == nil {
		decision, good, known = d.verifyByBundle(ctx, who, typed)
	}
	switch {
	case err != nil:
		d.pins.Unused(who.Badge.Ref)
		return decision, err
	case !known:
		d.pins.Unused(who.Badge.Ref)
		return decision, wire.E(wire.Precondition, "the PIN cannot be checked now: the broker is away, and the station holds no PIN of yours that is still good")
	case !good:
		return decision, wire.E(wire.Denied, "the PIN is wrong")
	}
	d.pins.Good(who.Badge.Ref)
	return decision, nil
}

func tooMany(locked time.Duration) error {
	return wire.BusyFor(locked, "too many wrong PINs: try again in %s", locked.Round(time.Second))
}

func (d *decider) verifyByBroker(ctx context.Context, who session.Signer, typed session.PIN) (by record.Decision, good, known bool, err error) {
	if !d.broker.Connected() {
		return by, false, false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, verifyWithin)
	defer cancel()
	r, err := d.broker.VerifyPin(ctx, &taplinev1.VerifyPinRequest{Session: string(who.Session), Pin: typed.Typed()})
	if err != nil { // no answer, an older broker, or a session that it has not heard of yet
		return by, false, false, nil //nolint:nilerr // the grants decide then
	}
	v := r.GetDecision()
	if v.GetRefusal() == taplinev1.RefusalCause_REFUSAL_CAUSE_PIN_LOCKED {
		return by, false, false, tooMany(max(time.Second, v.GetRetryAfter().AsDuration()))
	}
	return record.Decision{By: "broker"}, v.GetAllowed(), true, nil
}

func (d *decider) verifyByBundle(ctx context.Context, who session.Signer, typed session.PIN) (by record.Decision, good, known bool) {
	person, verifier, _ := d.bundle.Holder(who.Badge.Ref)
	if person != who.Person.ID || verifier == "" {
		return by, false, false
	}
	v := d.bundle.Decide(offline.Ask{Badge: who.Badge.Ref, Assurance: who.Badge.Assurance, PIN: true, Past: d.memory.Of(person)}, d.clock.Trusted())
	if !v.Allowed {
		return by, false, false
	}
	return v.Decision, d.checkPIN(ctx, verifier, typed), true
}
