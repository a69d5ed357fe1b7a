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
		heard := c.LastAt
		if s.Connected(station) { // its silence means that nothing changed
			heard = maxTime(heard, s.Now())
		} else if s.Store.Shared() { // its line may stand at another broker, which has noted its beats
			st, err := tx.Station(station)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			heard = maxTime(heard, st.LastSeenAt)
		}
		resp.Confidence = confidence(found, when, heard)
		if len(found) == 1 && resp.Confidence == taplinev1.Confidence_CONFIDENCE_SURE {
			resp.Confidence, err = alive(tx, found[0], when)
			if err != nil {
				return err
			}
		}
		resp.Sessions, err = sessions(tx, found)
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// lookBack is how many records before a session's end are searched for the last one that the dead agent wrote.
const lookBack = 50

// alive says how sure a session is that ended because its agent died: until the agent's last record it was there, after that nobody knows.
func alive(tx *store.Tx, s store.Session, when time.Time) (taplinev1.Confidence, error) {
	if s.Reason != agentDied {
		return taplinev1.Confidence_CONFIDENCE_SURE, nil
	}
	from := s.OpenedSeq
	if s.ClosedSeq > from+lookBack {
		from = s.ClosedSeq - lookBack
	}
	found, err := tx.ChainRecords(s.Chain, from, int(s.ClosedSeq-from))
	if err != nil {
		return 0, err
	}
	last := s.OpenedAt
	for _, r := range found {
		e, err := record.ReadEntry(r.Envelope)
		if err != nil || e.Payload.Type == record.StationStarted {
			break // what follows was written by the agent's next life
		}
		last = e.Payload.Time.Wall
	}
	if when.After(last) {
		return taplinev1.Confidence_CONFIDENCE_UNKNOWN, nil
	}
	return taplinev1.Confidence_CONFIDENCE_SURE, nil
}

// agentDied is the reason of a session that the agent's next start had to close.
const agentDied record.Reason = "agent-died"

// confidence says how sure it is that one of the sessions went on at a time. heard is the last moment that is known of the station: when its newest
// record was stored, or now while its line stands.
func confidence(found []store.Session, when, heard time.Time) taplinev1.Confidence {
	switch {
	case when.After(heard):
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
