package agent

import (
	"context"
	"time"

	"go.uber.org/zap"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/agent/clock"
	"tapline/agent/offline"
	"tapline/agent/session"
	"tapline/agent/tries"
	"tapline/proto/grant"
	"tapline/proto/pin"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// Caller is what the path of a tap asks of the line to the broker. Connected is one read of memory. Errors have a kind (package wire).
type Caller interface {
	Connected() bool
	OpenSession(ctx context.Context, req *taplinev1.OpenSessionRequest) (*taplinev1.OpenSessionResponse, error)
	NameBadge(ctx context.Context, req *taplinev1.NameBadgeRequest) (*taplinev1.NameBadgeResponse, error)
	VerifyPin(ctx context.Context, req *taplinev1.VerifyPinRequest) (*taplinev1.VerifyPinResponse, error)
	ExtendSession(ctx context.Context, req *taplinev1.ExtendSessionRequest) (*taplinev1.ExtendSessionResponse, error)
	// CloseSession is told in the background; told is the record that says the same.
	CloseSession(req *taplinev1.CloseSessionRequest, told record.Seq)
}

// decider answers taps: the broker if there is a line, in time; else the bundle.
type decider struct {
	broker Caller
	bundle *offline.Keeper
	clock  *clock.Keeper
	within func() time.Duration // how long a tap waits for the broker
	log    *zap.Logger

	pins    *tries.Book
	checker *pin.Checker
	memory  *offline.Memory
}

// decide answers within the deadline and the time that a look into the bundle takes.
func (d *decider) decide(ctx context.Context, ask session.Decide, mode record.Mode) session.Answer {
	began := time.Now()
	var a session.Answer
	if ask.NameOnly {
		a = d.name(ctx, ask.Tap)
	} else {
		a = d.tryPIN(ctx, ask, mode)
	}
	a.Session = ask.Tap.Session
	a.Latency.Decide = max(1, time.Since(began).Microseconds())
	return a
}

// askBroker is false when the broker gave no answer. An answer that refuses is an answer.
func (d *decider) askBroker(ctx context.Context, ask session.Decide, mode record.Mode) (session.Answer, bool) {
	if !d.broker.Connected() {
		return session.Answer{}, false
	}
	ctx, cancel := context.WithTimeout(ctx, d.within())
	defer cancel()
	tap := ask.Tap
	resp, err := d.broker.OpenSession(ctx, &taplinev1.OpenSessionRequest{
		Session: string(tap.Session), FromSession: string(ask.From), Mode: modeOf(mode), Reader: string(tap.Reader),
		Badge: proofOf(&tap), Pin: ask.PIN.Typed(), Approver: proofOf(ask.Second), TappedAt: timestamppb.New(tap.At),
	})
	if err != nil {
		return d.noAnswer(err)
	}
	return d.answerOf(resp), true
}

// proofOf is a badge as the broker hears of it; nil for none.
func proofOf(tap *session.Tap) *taplinev1.BadgeProof {
	if tap == nil {
		return nil
	}
	return &taplinev1.BadgeProof{
		Number: tap.Number.Canonical(), Technology: tap.Badge.Technology, Assurance: taplinev1.Assurance(tap.Badge.Assurance),
	}
}

// noAnswer tells a broker that does not know this station from one that is away: the first is a refusal.
func (d *decider) noAnswer(err error) (session.Answer, bool) {
	kind := wire.KindOf(err)
	d.log.Warn("the broker did not decide", zap.Stringer("kind", kind), zap.Error(err))
	if kind == wire.Denied || kind == wire.Unauthenticated {
		return session.Answer{Refusal: "station", Decision: record.Decision{By: "broker"}}, true
	}
	return session.Answer{}, false
}

func (d *decider) answerOf(r *taplinev1.OpenSessionResponse) session.Answer {
	now, theirs := time.Now(), d.clock.Trusted()
	if r.GetBrokerTime() != nil {
		theirs = r.GetBrokerTime().AsTime()
	}
	local := func(t *timestamppb.Timestamp) time.Time { return localTime(t, theirs, now) }
	v := r.GetDecision()
	a := session.Answer{
		Allowed: v.GetAllowed(), HelpCode: v.GetHelpCode(), RetryAfter: v.GetRetryAfter().AsDuration(),
		Person: personOf(r.GetPerson()), Second: personOf(r.GetApprover()),
		Decision: record.Decision{By: "broker", Policy: v.GetPolicyVersion(), Rules: v.GetRules()},
		Factors:  factorsOf(r.GetFactors()),
	}
	if !a.Allowed {
		a.Refusal = refusalWord(v.GetRefusal())
		return a
	}
	if l := r.GetLease(); l != nil {
		a.Account = record.AccountID(l.GetAccount())
		a.Lease = &session.Lease{ID: l.GetId(), Fence: record.Fence(l.GetFence()), ExpiresAt: local(l.GetExpiresAt())}
	}
	t := r.GetTerms()
	a.Terms = session.Terms{
		Idle: t.GetIdle().AsDuration(), IdleWarning: t.GetIdleWarning().AsDuration(), EndsAt: local(t.GetEndsAt()),
		LeaveTheCard: t.GetLeaveTheCard(), CardGrace: t.GetCardGrace().AsDuration(), Mode: modeWord(t.GetMode()),
	}
	return a
}

// localTime turns a time of the broker's clock, which says theirs now, into one of our monotonic clock.
func localTime(t *timestamppb.Timestamp, theirs, now time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return now.Add(t.AsTime().Sub(theirs))
}

// askBundle decides from the grants, with what the station remembers.
func (d *decider) askBundle(ctx context.Context, ask session.Decide) session.Answer {
	trusted, now := d.clock.Trusted(), time.Now()
	badge := ask.Tap.Badge
	person, verifier, _ := d.bundle.Holder(badge.Ref)
	q := offline.Ask{Badge: badge.Ref, Assurance: badge.Assurance, Past: d.memory.Of(person)}
	if ask.Second != nil {
		q.Second = ask.Second.Badge.Ref
	}
	v := d.bundle.Decide(q, trusted)
	factors := []string{"badge"}
	if !ask.PIN.IsZero() && (v.Allowed || v.Refusal == pinNeeded) {
		if q.PIN = d.checkPIN(ctx, verifier, ask.PIN); q.PIN {
			v, factors = d.bundle.Decide(q, trusted), append(factors, "pin")
		} else {
			v.Allowed, v.Refusal = false, pinWrong
		}
	}
	second := personIn(v.Second)
	if second.ID != "" {
		factors = append(factors, "second-person")
	}
	a := session.Answer{
		Allowed: v.Allowed, Refusal: refusalName(v.Refusal), Second: second, Account: v.Account, Decision: v.Decision, Factors: factors,
		Person: personIn(v.Person),
		Terms: session.Terms{
			Idle: seconds(v.Terms.IdleSeconds), IdleWarning: seconds(v.Terms.IdleWarningSeconds),
			LeaveTheCard: v.Terms.LeaveTheCard, CardGrace: seconds(v.Terms.CardGraceSeconds), Mode: v.Terms.Mode,
		},
	}
	if !v.EndsAt.IsZero() {
		a.Terms.EndsAt = now.Add(v.EndsAt.Sub(trusted))
	}
	return a
}

// personIn is a person as a grant names them.
func personIn(p grant.Person) session.Person {
	return session.Person{ID: p.ID, Name: p.DisplayName, Language: p.Language, Roles: p.Roles}
}

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }

// extendWithin bounds an extension, which nobody waits for.
const extendWithin = 5 * time.Second

// extend asks the broker to keep a lease.
func (d *decider) extend(ctx context.Context, e session.Extend) session.Extended {
	ctx, cancel := context.WithTimeout(ctx, extendWithin)
	defer cancel()
	answer := session.Extended{Session: e.Session}
	resp, err := d.broker.ExtendSession(ctx, &taplinev1.ExtendSessionRequest{Session: string(e.Session), Fence: uint64(e.Fence)})
	switch wire.KindOf(err) {
	case wire.None:
		answer.Reached, answer.Allowed = true, resp.GetDecision().GetAllowed()
		answer.Refusal = refusalWord(resp.GetDecision().GetRefusal())
		answer.ExpiresAt = localTime(resp.GetLease().GetExpiresAt(), d.clock.Trusted(), time.Now())
	case wire.Stale, wire.NotFound, wire.Denied, wire.Unauthenticated:
		answer.Reached, answer.Refusal = true, "revoked"
	}
	if err != nil {
		d.log.Warn("lease not extended", zap.String("session", string(e.Session)), zap.Error(err))
	}
	return answer
}

// release gives a lease back. told is the record of the session's end.
func (d *decider) release(e session.Release, told record.Seq) {
	d.broker.CloseSession(&taplinev1.CloseSessionRequest{
		Session: string(e.Session), Fence: uint64(e.Fence), Cause: causeOf(e.Cause), ClosedAt: timestamppb.Now(),
	}, told)
}
