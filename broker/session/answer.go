package session

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"google.golang.org/protobuf/types/known/durationpb"

	"tapline/broker/alarm"
	"tapline/broker/directory"
	"tapline/broker/facts"
	"tapline/broker/lease"
	"tapline/broker/policy"
	"tapline/broker/store"
	"tapline/proto/record"
)

// answer decides a tap that was not answered before.
func (d *Desk) answer(tx *store.Tx, t tap, s store.Station, now time.Time) (*taplinev1.OpenSessionResponse, error) {
	account, err := directory.AccountOf(tx, s, t.account)
	if err != nil {
		return nil, err
	}
	holder, cause, err := d.Directory.Holder(tx, t.badge.Lookup, now)
	if err != nil {
		return nil, err
	}
	resp := &taplinev1.OpenSessionResponse{}
	if holder.Person != nil {
		resp.Person = directory.Message(holder.Person)
	}
	if cause != 0 {
		return d.refuse(tx, t, resp, &taplinev1.Decision{Refusal: cause}, now)
	}
	err = tx.AheadOfDecision(store.Decided{
		Person: holder.Badge.Person, Station: t.station, Account: account, Zone: s.Entry.GetZone(), Scope: lease.ScopeOf(account, t.station),
	})
	if err != nil {
		return nil, err
	}
	c, err := d.consider(tx, t, s, holder.Person, account, now)
	if err != nil {
		return nil, err
	}
	if c.approver != nil {
		resp.Approver = directory.Message(c.approver)
	}
	if !c.decision.GetAllowed() {
		return d.refuse(tx, t, resp, c.decision, now)
	}
	resp.Terms = directory.Until(c.known.Terms(now), holder.Badge)
	l, err := d.take(tx, t, account, c, resp.GetTerms(), holder.Badge.NotAfter, now)
	if errors.Is(err, lease.ErrHeld) {
		c.decision.Allowed, c.decision.Refusal = false, taplinev1.RefusalCause_REFUSAL_CAUSE_LEASE_HELD
		resp.Terms = nil
		return d.refuse(tx, t, resp, c.decision, now)
	}
	if err != nil {
		return nil, err
	}
	resp.Decision, resp.Lease, resp.Factors = c.decision, lease.Message(l), c.factors
	return resp, directory.Used(tx, holder.Badge, now)
}

// latest is when a session under these terms must end at the latest; zero for no such time.
func latest(t *taplinev1.SessionTerms) time.Time {
	if e := t.GetEndsAt(); e != nil {
		return e.AsTime()
	}
	return time.Time{}
}

// considered is what the policy says of a tap, and what it knew.
type considered struct {
	set      *policy.Set
	known    facts.Known
	verdict  policy.Decision
	decision *taplinev1.Decision
	factors  []taplinev1.Factor
	approver *taplinev1.PersonEntry // nil for none
}

// consider asks the policy, and keeps what it knew, so that the same question can be put again to a draft.
func (d *Desk) consider(tx *store.Tx, t tap, s store.Station, p *taplinev1.PersonEntry, account record.AccountID, now time.Time) (considered, error) {
	c := considered{factors: []taplinev1.Factor{taplinev1.Factor_FACTOR_BADGE}}
	if locked := t.pin.lockedFor(now); locked > 0 {
		c.decision = &taplinev1.Decision{Refusal: taplinev1.RefusalCause_REFUSAL_CAUSE_PIN_LOCKED, RetryAfter: durationpb.New(locked)}
		return c, nil
	}
	if t.pin.given && !t.pin.good {
		c.decision = &taplinev1.Decision{Refusal: taplinev1.RefusalCause_REFUSAL_CAUSE_PIN_WRONG}
		return c, nil
	}
	if t.pin.good {
		c.factors = append(c.factors, taplinev1.Factor_FACTOR_PIN)
	}
	approver, err := d.approver(tx, t, p, now)
	if err != nil {
		return c, err
	}
	if c.approver = approver; approver != nil {
		c.factors = append(c.factors, taplinev1.Factor_FACTOR_SECOND_PERSON)
	}
	c.known, err = facts.Collect(tx, d.Rules, facts.Tap{
		Action: policy.OpenSession, Person: p, Station: s.Entry, Account: account, Assurance: t.badge.Assurance, PIN: t.pin.good, Approver: approver, At: now,
	})
	if err != nil {
		return c, err
	}
	if c.set, err = d.Rules.InForce(tx); err != nil {
		return c, err
	}
	c.verdict = c.set.Admit(c.known.Request)
	if c.decision, err = Message(tx, c.verdict, t.station, now); err != nil {
		return c, err
	}
	known, err := c.known.Facts()
	if err != nil {
		return c, err
	}
	return c, tx.AddTap(store.Tap{
		Session: t.session, Station: t.station, Person: record.PersonID(p.GetId()), At: now, PIN: t.pin.good, Assurance: t.badge.Assurance,
		Approved: approver != nil, Facts: known,
	})
}

// Message is a verdict as a station sees it. A policy that erred raises an alarm.
func Message(tx *store.Tx, v policy.Decision, station record.StationID, now time.Time) (*taplinev1.Decision, error) {
	m := &taplinev1.Decision{Allowed: v.Allowed, Refusal: v.Refusal, PolicyVersion: v.Version, Rules: v.Rules}
	if len(v.Errors) == 0 {
		return m, nil
	}
	return m, alarm.Raise(tx, alarm.PolicyError, station, now, "policy %s: %s", v.Version, strings.Join(v.Errors, "; "))
}

// approver is another person in good standing who has approved; nil for none.
func (d *Desk) approver(tx *store.Tx, t tap, p *taplinev1.PersonEntry, now time.Time) (*taplinev1.PersonEntry, error) {
	if t.approver == nil {
		return nil, nil //nolint:nilnil // nobody was asked to
	}
	h, cause, err := d.Directory.Holder(tx, t.approver.Lookup, now)
	if err != nil || cause != 0 || h.Person.GetId() == p.GetId() {
		return nil, err
	}
	return h.Person, nil
}

// refuse keeps a refused tap under a help code. The session that it would have taken over goes on.
func (d *Desk) refuse(tx *store.Tx, t tap, resp *taplinev1.OpenSessionResponse, decision *taplinev1.Decision, now time.Time) (*taplinev1.OpenSessionResponse, error) {
	resp.Decision = decision
	for range 8 {
		decision.HelpCode = helpCode()
		err := tx.AddRefusal(store.Refusal{
			Code: decision.GetHelpCode(), Station: t.station, At: now, Person: record.PersonID(resp.GetPerson().GetId()),
			Technology: t.badge.Technology, Assurance: t.badge.Assurance, Decision: decision, Lookup: t.badge.Lookup, Number: t.badge.Sealed,
		})
		if !errors.Is(err, store.ErrExists) {
			return resp, err
		}
	}
	return nil, fmt.Errorf("no free help code")
}

// helpAlphabet has no letter that is mistaken for a digit, on the telephone or on a panel.
const helpAlphabet = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"

// HelpCodeLength is the number of characters of a help code.
const HelpCodeLength = 6

func helpCode() string {
	b := make([]byte, HelpCodeLength)
	_, _ = rand.Read(b)
	for i := range b {
		b[i] = helpAlphabet[int(b[i])%len(helpAlphabet)] // 32 letters: no bias
	}
	return string(b)
}

// CauseWord is an end's cause as records spell it; empty for none.
func CauseWord(c taplinev1.EndCause) string {
	name, ok := taplinev1.EndCause_name[int32(c)]
	if !ok || c == taplinev1.EndCause_END_CAUSE_UNSPECIFIED {
		return ""
	}
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, "END_CAUSE_")), "_", "-")
}
