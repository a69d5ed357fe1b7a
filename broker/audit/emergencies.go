package audit

import (
	"context"
	"errors"

	taplinev1 "tapline/proto/tapline/v1"

	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/broker/store"
)

// ListEmergencies gives emergencies with who has answered for them, newest first.
func (s *Service) ListEmergencies(ctx context.Context, req *taplinev1.ListEmergenciesRequest) (*taplinev1.ListEmergenciesResponse, error) {
	limit, err := limitOf(req.GetLimit())
	if err != nil {
		return nil, err
	}
	resp := &taplinev1.ListEmergenciesResponse{}
	err = s.Store.View(ctx, func(tx *store.Tx) error {
		found, err := tx.Emergencies(!req.GetAll(), limit)
		if err != nil {
			return err
		}
		for _, e := range found {
			m, err := s.emergency(tx, e)
			if err != nil {
				return err
			}
			resp.Emergencies = append(resp.Emergencies, m)
		}
		return nil
	})
	return resp, err
}

func (s *Service) emergency(tx *store.Tx, e store.EmergencyEntry) (*taplinev1.EmergencyEntry, error) {
	m := &taplinev1.EmergencyEntry{
		Emergency: string(e.ID), Station: string(e.Station), Reason: string(e.Reason), OpenedAt: timestamppb.New(e.OpenedAt),
		Missing: uint32(max(0, e.Missing)), ClaimBy: timestamppb.New(e.OpenedAt.Add(s.ClaimWithin)), //nolint:gosec // two at most
	}
	told, err := tx.Session(e.ID)
	if err != nil {
		return nil, err
	}
	if m.EndedBy = string(told.Reason); !told.ClosedAt.IsZero() {
		m.ClosedAt = timestamppb.New(told.ClosedAt)
	}
	claims, err := tx.EmergencyClaims(e.ID)
	if err != nil {
		return nil, err
	}
	for _, c := range claims {
		p, err := tx.Person(c.Person)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		m.Claims = append(m.Claims, &taplinev1.EmergencyClaim{
			Person: string(c.Person), DisplayName: p.GetDisplayName(), ClaimedAt: timestamppb.New(c.At), Seq: uint64(c.Seq),
		})
	}
	return m, nil
}
