package session

import (
	"context"
	"errors"

	taplinev1 "tapline/proto/tapline/v1"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/broker/directory"
	"tapline/broker/store"
	"tapline/proto/record"
	"tapline/proto/wire"
)

// NameBadge says whose badge it is, and whether badge and person are in good standing. The policy is not asked: who may work at a station is another question
// than who may answer for what happened there.
func (d *Desk) NameBadge(ctx context.Context, station record.StationID, req *taplinev1.NameBadgeRequest) (*taplinev1.NameBadgeResponse, error) {
	proof, err := d.Directory.ReadProof("badge", req.GetBadge())
	if err != nil {
		return nil, err
	}
	resp := &taplinev1.OpenSessionResponse{Decision: &taplinev1.Decision{Allowed: true}}
	err = d.Store.Update(ctx, func(tx *store.Tx) error {
		now := d.Now()
		if err := enrolled(tx, station); err != nil {
			return err
		}
		h, cause, err := d.Directory.Holder(tx, proof.Lookup, now)
		if err != nil {
			return err
		}
		if h.Person != nil {
			resp.Person = directory.Message(h.Person)
		}
		if cause != 0 {
			_, err := d.refuse(tx, tap{station: station, badge: proof}, resp, &taplinev1.Decision{Refusal: cause}, now)
			return err
		}
		return directory.Used(tx, h.Badge, now)
	})
	if err != nil {
		return nil, err
	}
	return &taplinev1.NameBadgeResponse{Decision: resp.GetDecision(), Person: resp.GetPerson(), BrokerTime: timestamppb.New(d.Now())}, nil
}

// enrolled refuses a station that must decide by itself.
func enrolled(tx *store.Tx, station record.StationID) error {
	s, err := tx.Station(station)
	if err == nil && s.State != taplinev1.StationState_STATION_STATE_ENROLLED {
		err = wire.E(wire.Precondition, "station %s is quarantined (%s): decide from the bundle", station, s.StateReason)
	}
	return err
}

// VerifyPIN checks the PIN of the person whose session is in force at a station. Whom the station means it says by the session alone, so that it can try no
// PIN of somebody who is not there.
func (d *Desk) VerifyPIN(ctx context.Context, station record.StationID, req *taplinev1.VerifyPinRequest) (*taplinev1.VerifyPinResponse, error) {
	id, err := readSession(req.GetSession())
	switch {
	case err != nil:
		return nil, err
	case req.GetPin() == "" || len(req.GetPin()) > 64:
		return nil, wire.E(wire.Invalid, "pin: missing, or longer than 64")
	}
	var person record.PersonID
	err = d.Store.View(ctx, func(tx *store.Tx) error {
		if err := enrolled(tx, station); err != nil {
			return err
		}
		var err error
		person, err = d.inForce(tx, station, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	good, locked, err := d.CheckPIN(ctx, station, person, req.GetPin())
	if err != nil {
		return nil, err
	}
	decision := &taplinev1.Decision{Allowed: good}
	switch {
	case good:
	case locked > 0:
		decision.Refusal, decision.RetryAfter = taplinev1.RefusalCause_REFUSAL_CAUSE_PIN_LOCKED, durationpb.New(locked)
	default:
		decision.Refusal = taplinev1.RefusalCause_REFUSAL_CAUSE_PIN_WRONG
	}
	return &taplinev1.VerifyPinResponse{Decision: decision, Person: string(person), BrokerTime: timestamppb.New(d.Now())}, nil
}

// inForce is whose session it is: by its lease, or by its record where it began without us.
func (d *Desk) inForce(tx *store.Tx, station record.StationID, id record.SessionID) (record.PersonID, error) {
	l, err := tx.LeaseOf(id)
	if err == nil && l.Station == station && l.EndedAt.IsZero() && d.Now().Before(l.ExpiresAt) {
		return l.Person, nil
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return "", err
	}
	known := err == nil
	s, err := tx.Session(id)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && (known || s.Kind != store.Named || s.Station != station || !s.ClosedAt.IsZero() || s.Person == ""):
		return "", wire.E(wire.NotFound, "session %s is not in force at %s", id, station)
	case err != nil:
		return "", err
	}
	return s.Person, nil
}
