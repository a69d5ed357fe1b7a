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
	decision, factors, err := d.decide(tx, t, s, holder.Person, now)
	if err != nil {
		return nil, err
	}
	if !decision.GetAllowed() {
		return d.refuse(tx, t, resp, decision, now)
	}
	l, err := lease.Take(tx, lease.Want{
		Session: t.session, Station: t.station, Person: record.PersonID(holder.Person.GetId()), Account: account, Until: latestEnd(s),
	}, now)
	if errors.Is(err, lease.ErrHeld) {
		decision.Allowed, decision.Refusal = false, taplinev1.RefusalCause_REFUSAL_CAUSE_LEASE_HELD
		return d.refuse(tx, t, resp, decision, now)
	}
	if err != nil {
		return nil, err
	}
	resp.Decision, resp.Lease, resp.Terms, resp.Factors = decision, lease.Message(l), s.Entry.GetTerms(), factors
	if resp.Terms == nil {
		resp.Terms = &taplinev1.SessionTerms{}
	}
	return resp, directory.Used(tx, holder.Badge, now)
}

// latestEnd is when a session at a station must end at the latest; zero for no such time.
func latestEnd(s store.Station) time.Time {
	if e := s.Entry.GetTerms().GetEndsAt(); e != nil {
		return e.AsTime()
	}
	return time.Time{}
}

// decide asks the policy.
func (d *Desk) decide(tx *store.Tx, t tap, s store.Station, p *taplinev1.PersonEntry, now time.Time) (*taplinev1.Decision, []taplinev1.Factor, error) {
	factors := []taplinev1.Factor{taplinev1.Factor_FACTOR_BADGE}
	if locked := t.pin.lockedFor(now); locked > 0 {
		return &taplinev1.Decision{
			Refusal: taplinev1.RefusalCause_REFUSAL_CAUSE_PIN_LOCKED, RetryAfter: durationpb.New(locked),
		}, nil, nil
	}
	if t.pin.given && !t.pin.good {
		return &taplinev1.Decision{Refusal: taplinev1.RefusalCause_REFUSAL_CAUSE_PIN_WRONG}, nil, nil
	}
	if t.pin.good {
		factors = append(factors, taplinev1.Factor_FACTOR_PIN)
	}
	approved, err := d.approved(tx, t, p, now)
	if err != nil {
		return nil, nil, err
	}
	if approved {
		factors = append(factors, taplinev1.Factor_FACTOR_SECOND_PERSON)
	}
	elsewhere, err := Elsewhere(tx, record.PersonID(p.GetId()), t.station, now)
	if err != nil {
		return nil, nil, err
	}
	set, err := d.Rules.InForce(tx)
	if err != nil {
		return nil, nil, err
	}
	verdict := set.Decide(policy.Request{Action: policy.OpenSession, Person: p, Station: s.Entry, Tap: policy.Tap{
		Assurance: t.badge.Assurance, PIN: t.pin.good, Approved: approved, Elsewhere: elsewhere, At: now,
	}})
	decision, err := Message(tx, verdict, t.station, now)
	return decision, factors, err
}

// Message is a verdict as a station sees it. A policy that erred raises an alarm.
func Message(tx *store.Tx, v policy.Decision, station record.StationID, now time.Time) (*taplinev1.Decision, error) {
	m := &taplinev1.Decision{Allowed: v.Allowed, Refusal: v.Refusal, PolicyVersion: v.Version, Rules: v.Rules}
	if len(v.Errors) == 0 {
		return m, nil
	}
	return m, alarm.Raise(tx, alarm.PolicyError, station, now, "policy %s: %s", v.Version, strings.Join(v.Errors, "; "))
}

// approved reports whether another person in good standing has approved.
func (d *Desk) approved(tx *store.Tx, t tap, p *taplinev1.PersonEntry, now time.Time) (bool, error) {
	if t.approver == nil {
		return false, nil
	}
	h, cause, err := d.Directory.Holder(tx, t.approver.Lookup, now)
	return err == nil && cause == 0 && h.Person.GetId() != p.GetId(), err
}

// Elsewhere reports whether a person holds a lease at another station.
func Elsewhere(tx *store.Tx, person record.PersonID, station record.StationID, now time.Time) (bool, error) {
	leases, err := tx.LeasesOfPerson(person)
	for _, l := range leases {
		if l.Station != station && now.Before(l.ExpiresAt) {
			return true, err
		}
	}
	return false, err
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

func (d *Desk) extend(tx *store.Tx, l store.Lease) (*taplinev1.ExtendSessionResponse, error) {
	now := d.Now()
	s, err := tx.Station(l.Station)
	if err != nil {
		return nil, err
	}
	refused := func(cause taplinev1.RefusalCause) (*taplinev1.ExtendSessionResponse, error) {
		return &taplinev1.ExtendSessionResponse{Decision: &taplinev1.Decision{Refusal: cause}}, nil
	}
	if s.State != taplinev1.StationState_STATION_STATE_ENROLLED {
		return refused(taplinev1.RefusalCause_REFUSAL_CAUSE_STATION)
	}
	p, err := tx.Person(l.Person)
	if errors.Is(err, store.ErrNotFound) {
		return refused(taplinev1.RefusalCause_REFUSAL_CAUSE_PERSON_INACTIVE)
	}
	if err != nil {
		return nil, err
	}
	set, err := d.Rules.InForce(tx)
	if err != nil {
		return nil, err
	}
	verdict := set.Decide(policy.Request{Action: policy.ExtendSession, Person: p, Station: s.Entry, Tap: policy.Tap{At: now}})
	decision, err := Message(tx, verdict, l.Station, now)
	if err != nil {
		return nil, err
	}
	resp := &taplinev1.ExtendSessionResponse{Decision: decision}
	if !decision.GetAllowed() {
		return resp, tx.EndLease(l.ID, CauseWord(taplinev1.EndCause_END_CAUSE_REVOKED), now)
	}
	longer, err := lease.Extend(tx, l, latestEnd(s), now)
	if errors.Is(err, lease.ErrEnded) {
		return refused(taplinev1.RefusalCause_REFUSAL_CAUSE_LEASE_HELD)
	}
	resp.Lease = lease.Message(longer)
	return resp, err
}

// CauseWord is an end's cause as records spell it; empty for none.
func CauseWord(c taplinev1.EndCause) string {
	name, ok := taplinev1.EndCause_name[int32(c)]
	if !ok || c == taplinev1.EndCause_END_CAUSE_UNSPECIFIED {
		return ""
	}
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, "END_CAUSE_")), "_", "-")
}
