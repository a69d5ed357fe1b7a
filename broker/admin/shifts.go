package admin

import (
	"context"
	"slices"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/directory"
	"tapline/broker/office"
	"tapline/broker/store"
	"tapline/proto/wire"
)

// PutShift makes or changes a shift.
func (s *Service) PutShift(ctx context.Context, req *taplinev1.PutShiftRequest) (*taplinev1.PutShiftResponse, error) {
	e := req.GetShift()
	if err := directory.CheckShift(e); err != nil {
		return nil, err
	}
	err := s.Change(ctx, "PutShift", e.GetId(), req, func(tx *store.Tx) (err error) {
		if e.Revision, err = tx.PutShift(e); err != nil {
			return err
		}
		return tx.Changed()
	})
	if err != nil {
		return nil, err
	}
	s.Changed()
	return &taplinev1.PutShiftResponse{Shift: e}, nil
}

// ListShifts lists shifts.
func (s *Service) ListShifts(ctx context.Context, req *taplinev1.ListShiftsRequest) (*taplinev1.ListShiftsResponse, error) {
	p, err := office.PageOf(req)
	if err != nil {
		return nil, err
	}
	resp := &taplinev1.ListShiftsResponse{}
	err = s.View(ctx, func(tx *store.Tx) error {
		found, err := tx.Shifts(p)
		resp.Shifts, resp.NextPageToken = office.Cut(p, found, (*taplinev1.Shift).GetId)
		return err
	})
	return resp, err
}

// DeleteShift removes a shift that nobody has: a person whose only shift is gone could not work at all.
func (s *Service) DeleteShift(ctx context.Context, req *taplinev1.DeleteShiftRequest) (*taplinev1.DeleteShiftResponse, error) {
	err := s.Change(ctx, "DeleteShift", req.GetId(), req, func(tx *store.Tx) error {
		people, err := tx.EveryPerson()
		if err != nil {
			return err
		}
		for _, p := range people {
			if slices.Contains(p.GetShifts(), req.GetId()) {
				return wire.E(wire.Precondition, "person %s has the shift %q: take it from them first", p.GetId(), req.GetId())
			}
		}
		if err := tx.DeleteShift(req.GetId()); err != nil {
			return err
		}
		return tx.Changed()
	})
	if err != nil {
		return nil, err
	}
	s.Changed()
	return &taplinev1.DeleteShiftResponse{}, nil
}
