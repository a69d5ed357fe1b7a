package admin

import (
	"context"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/directory"
	"tapline/broker/office"
	"tapline/broker/store"
	"tapline/proto/wire"
)

// PutZone makes or changes a zone.
func (s *Service) PutZone(ctx context.Context, req *taplinev1.PutZoneRequest) (*taplinev1.PutZoneResponse, error) {
	z := req.GetZone()
	if err := directory.CheckZone(z); err != nil {
		return nil, err
	}
	err := s.Change(ctx, "PutZone", z.GetId(), req, func(tx *store.Tx) (err error) {
		if z.Revision, err = tx.PutZone(z); err != nil {
			return err
		}
		return tx.Changed()
	})
	if err != nil {
		return nil, err
	}
	s.Changed()
	return &taplinev1.PutZoneResponse{Zone: z}, nil
}

// ListZones lists zones.
func (s *Service) ListZones(ctx context.Context, req *taplinev1.ListZonesRequest) (*taplinev1.ListZonesResponse, error) {
	p, err := office.PageOf(req)
	if err != nil {
		return nil, err
	}
	resp := &taplinev1.ListZonesResponse{}
	err = s.View(ctx, func(tx *store.Tx) error {
		found, err := tx.Zones(p)
		resp.Zones, resp.NextPageToken = office.Cut(p, found, (*taplinev1.Zone).GetId)
		return err
	})
	return resp, err
}

// DeleteZone removes a zone that no station is in.
func (s *Service) DeleteZone(ctx context.Context, req *taplinev1.DeleteZoneRequest) (*taplinev1.DeleteZoneResponse, error) {
	err := s.Change(ctx, "DeleteZone", req.GetId(), req, func(tx *store.Tx) error {
		user, err := tx.ZoneUser(req.GetId())
		if err != nil {
			return err
		}
		if user != "" {
			return wire.E(wire.Precondition, "station %s is in zone %s", user, req.GetId())
		}
		if err := tx.DeleteZone(req.GetId()); err != nil {
			return err
		}
		return tx.Changed()
	})
	if err != nil {
		return nil, err
	}
	s.Changed()
	return &taplinev1.DeleteZoneResponse{}, nil
}
