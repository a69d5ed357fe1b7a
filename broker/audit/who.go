package audit

import (
	"context"
	"errors"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/store"
	"tapline/proto/record"
	"tapline/proto/wire"
)

const (
	// silentFor is how long after a station's newest record its silence still means that nothing changed: two heartbeats.
	silentFor = 10 * time.Minute
	// unsure is how far a time may be off for a station that could not say.
	unsure = time.Minute
)

// WhoWasAt says who was at a station at a time, and how sure that is.
func (s *Service) WhoWasAt(ctx context.Context, req *taplinev1.WhoWasAtRequest) (*taplinev1.WhoWasAtResponse, error) {
	station := record.StationID(req.GetStation())
	switch {
	case !station.Valid():
		return nil, wire.E(wire.Invalid, "station: not site/area/line/station")
	case req.GetAt() == nil || !req.GetAt().IsValid():
		return nil, wire.E(wire.Invalid, "at: missing or out of range")
	}
	when := req.GetAt().AsTime()
	resp := &taplinev1.WhoWasAtResponse{}
	err := s.Store.View(ctx, func(tx *store.Tx) error {
		c, err := tx.LastChain(station)
		if errors.Is(err, store.ErrNotFound) {
			return wire.E(wire.NotFound, "station %s has no records", station)
		}
		if err != nil {
			return err
		}
		found, err := tx.Around(station, when, 0)
		if err != nil {
			return err
		}
		resp.Confidence = confidence(found, when, c.LastAt)
		resp.Sessions, err = sessions(tx, found)
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// confidence says how sure it is that one of the sessions went on at a time. heard is when the station's newest record was stored.
func confidence(found []store.Session, when, heard time.Time) taplinev1.Confidence {
	switch {
	case when.After(heard.Add(silentFor)):
		return taplinev1.Confidence_CONFIDENCE_UNKNOWN
	case len(found) == 0:
		return taplinev1.Confidence_CONFIDENCE_NOBODY
	case len(found) > 1 || atEdge(found[0], when):
		return taplinev1.Confidence_CONFIDENCE_AMBIGUOUS
	}
	switch found[0].Kind {
	case store.Emergency:
		return taplinev1.Confidence_CONFIDENCE_EMERGENCY
	case store.Unattributed:
		return taplinev1.Confidence_CONFIDENCE_UNATTRIBUTED
	}
	return taplinev1.Confidence_CONFIDENCE_SURE
}

// atEdge reports whether a time lies within the clock's error of a session's beginning or end.
func atEdge(s store.Session, when time.Time) bool {
	near := func(edge time.Time, off time.Duration) bool {
		if off == 0 {
			off = unsure
		}
		return when.Sub(edge).Abs() <= off
	}
	return near(s.OpenedAt, s.OpenedError) || !s.ClosedAt.IsZero() && near(s.ClosedAt, s.ClosedError)
}
