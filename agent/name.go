package agent

import (
	"context"

	"go.uber.org/zap"

	"tapline/agent/offline"
	"tapline/agent/session"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// name says whose badge it is, for somebody who answers for an emergency. Nothing begins by it.
func (d *decider) name(ctx context.Context, tap session.Tap) session.Answer {
	if a, ok := d.nameByBroker(ctx, tap); ok {
		return a
	}
	person, _, _ := d.bundle.Holder(tap.Badge.Ref)
	v := d.bundle.Decide(offline.Ask{Badge: tap.Badge.Ref, Assurance: tap.Badge.Assurance, Past: d.memory.Of(person)}, d.clock.Trusted())
	a := session.Answer{
		Allowed: v.Allowed, Refusal: refusalName(v.Refusal), Decision: v.Decision, Factors: []string{"badge"},
		Person: session.Person{ID: v.Person.ID, Name: v.Person.DisplayName, Language: v.Person.Language, Roles: v.Person.Roles},
	}
	switch a.Refusal {
	case "pin-needed", "approval-needed", "second-person-needed": // to work here; not to answer for something
		a.Allowed, a.Refusal = v.Person.ID != "", ""
	}
	if !a.Allowed && a.Refusal == "" {
		a.Refusal = "offline"
	}
	return a
}

// nameByBroker is false when the broker gave no answer.
func (d *decider) nameByBroker(ctx context.Context, tap session.Tap) (session.Answer, bool) {
	if !d.broker.Connected() {
		return session.Answer{}, false
	}
	ctx, cancel := context.WithTimeout(ctx, d.within())
	defer cancel()
	r, err := d.broker.NameBadge(ctx, &taplinev1.NameBadgeRequest{Badge: proofOf(&tap)})
	if kind := wire.KindOf(err); kind == wire.Unsupported { // an older broker
		d.log.Warn("the broker names no badges: the grants do", zap.Error(err))
		return session.Answer{}, false
	}
	if err != nil {
		return d.noAnswer(err)
	}
	v := r.GetDecision()
	a := session.Answer{
		Allowed: v.GetAllowed(), HelpCode: v.GetHelpCode(), RetryAfter: v.GetRetryAfter().AsDuration(), Person: personOf(r.GetPerson()),
		Decision: record.Decision{By: "broker"}, Factors: []string{"badge"},
	}
	if !a.Allowed {
		a.Refusal = refusalWord(v.GetRefusal())
	}
	return a, true
}
