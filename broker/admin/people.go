package admin

import (
	"context"

	taplinev1 "tapline/proto/tapline/v1"

	"google.golang.org/protobuf/proto"

	"tapline/broker/directory"
	"tapline/broker/lease"
	"tapline/broker/office"
	"tapline/broker/store"
	"tapline/proto/pin"
	"tapline/proto/record"
	"tapline/proto/wire"
)

// PutPerson makes or changes a person.
func (s *Service) PutPerson(ctx context.Context, req *taplinev1.PutPersonRequest) (*taplinev1.PutPersonResponse, error) {
	p := req.GetPerson()
	if err := directory.CheckPerson(p); err != nil {
		return nil, err
	}
	err := s.Change(ctx, "PutPerson", p.GetId(), req, func(tx *store.Tx) (err error) {
		if err := directory.CheckReferences(tx, p); err != nil {
			return err
		}
		if err := directory.Suspend(tx, p); err != nil {
			return err
		}
		if p.Revision, err = tx.PutPerson(p); err != nil {
			return err
		}
		if p.GetSuspended() {
			if err := lease.Revoke(tx, record.PersonID(p.GetId()), s.Now()); err != nil {
				return err
			}
		}
		return tx.Changed()
	})
	if err != nil {
		return nil, err
	}
	s.Changed()
	return &taplinev1.PutPersonResponse{Person: p}, nil
}

// GetPerson gives one person with their badges.
func (s *Service) GetPerson(ctx context.Context, req *taplinev1.GetPersonRequest) (*taplinev1.GetPersonResponse, error) {
	id := record.PersonID(req.GetId())
	resp := &taplinev1.GetPersonResponse{}
	err := s.View(ctx, func(tx *store.Tx) error {
		var err error
		if resp.Person, err = tx.Person(id); err != nil {
			return err
		}
		badges, err := tx.BadgesOf(id)
		if err != nil {
			return err
		}
		for _, b := range badges {
			resp.Badges = append(resp.Badges, badgeMessage(b))
		}
		verifier, err := tx.PIN(id)
		if err != nil {
			return err
		}
		plan, err := directory.Shifts(tx)
		on, until := plan.Covers(resp.GetPerson().GetShifts(), s.Now())
		resp.PinSet, resp.OnShift, resp.ShiftChangesAt = verifier != "", on, office.Stamp(until)
		return err
	})
	return resp, err
}

// ListPeople lists people.
func (s *Service) ListPeople(ctx context.Context, req *taplinev1.ListPeopleRequest) (*taplinev1.ListPeopleResponse, error) {
	p, err := office.PageOf(req)
	if err != nil {
		return nil, err
	}
	resp := &taplinev1.ListPeopleResponse{}
	err = s.View(ctx, func(tx *store.Tx) error {
		found, err := tx.People(p)
		resp.People, resp.NextPageToken = office.Cut(p, found, (*taplinev1.PersonEntry).GetId)
		return err
	})
	return resp, err
}

// DeletePerson removes a person with badges and PIN. Their sessions end.
func (s *Service) DeletePerson(ctx context.Context, req *taplinev1.DeletePersonRequest) (*taplinev1.DeletePersonResponse, error) {
	id := record.PersonID(req.GetId())
	err := s.Change(ctx, "DeletePerson", req.GetId(), req, func(tx *store.Tx) error {
		if err := lease.Revoke(tx, id, s.Now()); err != nil {
			return err
		}
		if err := tx.DeleteBadges(id); err != nil {
			return err
		}
		if err := tx.DeletePerson(id); err != nil {
			return err
		}
		return tx.Changed()
	})
	if err != nil {
		return nil, err
	}
	s.Changed()
	return &taplinev1.DeletePersonResponse{}, nil
}

// SetPin sets or clears a PIN.
func (s *Service) SetPin(ctx context.Context, req *taplinev1.SetPinRequest) (*taplinev1.SetPinResponse, error) {
	id := record.PersonID(req.GetPerson())
	verifier := ""
	if req.GetPin() != "" {
		if !pin.Valid(req.GetPin()) {
			return nil, wire.E(wire.Invalid, "pin: %w", pin.ErrForm)
		}
		if why := pin.Weak(req.GetPin(), req.GetPerson()); why != "" {
			return nil, wire.E(wire.Invalid, "pin: too easy to guess: %s; choose another one", why)
		}
		var err error
		if verifier, err = s.PINs.Make(ctx, req.GetPin()); err != nil {
			return nil, err
		}
	}
	redacted := proto.CloneOf(req)
	redacted.Pin = ""
	err := s.Change(ctx, "SetPin", req.GetPerson(), redacted, func(tx *store.Tx) error {
		if _, err := tx.Person(id); err != nil {
			return err
		}
		if verifier != "" {
			if err := s.give(ctx, tx, id, store.CredentialPIN); err != nil {
				return err
			}
		}
		if err := tx.PutPIN(id, verifier, s.Now()); err != nil {
			return err
		}
		return tx.Changed()
	})
	if err != nil {
		return nil, err
	}
	s.Changed()
	return &taplinev1.SetPinResponse{}, nil
}
