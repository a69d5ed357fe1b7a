package session

import (
	"errors"
	"slices"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/facts"
	"tapline/broker/lease"
	"tapline/broker/policy"
	"tapline/broker/rulebook"
	"tapline/broker/store"
	"tapline/proto/record"
)

// extend keeps a lease, if policy still agrees.
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
	verdict, known, err := GoesOn(tx, d.Rules, l, p, s.Entry, now)
	if err != nil {
		return nil, err
	}
	decision, err := Message(tx, verdict, l.Station, now)
	if err != nil {
		return nil, err
	}
	resp := &taplinev1.ExtendSessionResponse{Decision: decision}
	if !decision.GetAllowed() {
		return resp, tx.EndLease(l.ID, CauseWord(taplinev1.EndCause_END_CAUSE_REVOKED), now)
	}
	longer, err := lease.Extend(tx, l, latest(known.Terms(l.OpenedAt)), now)
	if errors.Is(err, lease.ErrEnded) {
		return refused(taplinev1.RefusalCause_REFUSAL_CAUSE_LEASE_HELD)
	}
	resp.Lease = lease.Message(longer)
	return resp, err
}

// GoesOn asks the policy whether the session of a lease may go on, with the badge and the factors that it began with.
func GoesOn(tx *store.Tx, rules *rulebook.Book, l store.Lease, p *taplinev1.PersonEntry, at *taplinev1.Station, now time.Time) (policy.Decision, facts.Known, error) {
	ask := facts.Tap{Action: policy.ExtendSession, Person: p, Station: at, Account: l.Account, At: now}
	switch t, err := tx.TapOf(l.Session); {
	case err == nil:
		began, err := policy.ReadFacts(t.Facts)
		if err != nil {
			return policy.Decision{}, facts.Known{}, err
		}
		ask.Assurance, ask.PIN, ask.Approved, ask.Approver = t.Assurance, t.PIN, t.Approved, began.Tap.Approver
	case !errors.Is(err, store.ErrNotFound):
		return policy.Decision{}, facts.Known{}, err
	default: // decided by the station alone
		if err := recall(tx, l.Session, &ask); err != nil {
			return policy.Decision{}, facts.Known{}, err
		}
	}
	known, err := facts.Collect(tx, rules, ask)
	if err != nil {
		return policy.Decision{}, known, err
	}
	set, err := rules.InForce(tx)
	if err != nil {
		return policy.Decision{}, known, err
	}
	return set.Decide(known.Request), known, nil
}

// recall takes from the record that began a session what the station knew: the badge, the PIN, the second person.
func recall(tx *store.Tx, id record.SessionID, ask *facts.Tap) error {
	s, err := tx.Session(id)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	ask.Assurance = taplinev1.Assurance(s.Assurance)
	found, err := tx.ChainRecords(s.Chain, s.OpenedSeq, 1)
	if err != nil || len(found) == 0 || found[0].Seq != s.OpenedSeq {
		return err
	}
	e, err := record.ParseEnvelope(found[0].Envelope)
	if err != nil {
		return err
	}
	began, err := e.Payload()
	if err != nil {
		return err
	}
	if began.Badge != nil {
		ask.PIN = slices.Contains(began.Badge.Factors, "pin")
		ask.Approved = slices.Contains(began.Badge.Factors, "second-person") // also where the record has nobody's name
	}
	if second := began.Second; second != nil && second.Person != "" {
		ask.Approver, err = facts.Person(tx, second.Person)
	}
	return err
}
