package admin

import (
	"context"
	"errors"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/office"
	"tapline/broker/store"
	"tapline/proto/wire"
)

// ListAlarms lists alarms, newest first.
func (s *Service) ListAlarms(ctx context.Context, req *taplinev1.ListAlarmsRequest) (*taplinev1.ListAlarmsResponse, error) {
	p, err := office.PageOf(req)
	if err != nil {
		return nil, err
	}
	resp := &taplinev1.ListAlarmsResponse{}
	err = s.View(ctx, func(tx *store.Tx) error {
		found, err := tx.Alarms(req.GetOpenOnly(), p)
		if err != nil {
			return err
		}
		found, resp.NextPageToken = office.Cut(p, found, func(a store.Alarm) string { return a.ID })
		for _, a := range found {
			resp.Alarms = append(resp.Alarms, alarmMessage(a))
		}
		return nil
	})
	return resp, err
}

// CloseAlarm closes an alarm.
func (s *Service) CloseAlarm(ctx context.Context, req *taplinev1.CloseAlarmRequest) (*taplinev1.CloseAlarmResponse, error) {
	if len(req.GetNote()) > office.MaxText {
		return nil, wire.E(wire.Invalid, "note: longer than %d", office.MaxText)
	}
	by := "unknown"
	if who, _, ok := wire.Caller(ctx); ok {
		by = who.Name
	}
	resp := &taplinev1.CloseAlarmResponse{}
	err := s.Change(ctx, "CloseAlarm", req.GetId(), req, func(tx *store.Tx) error {
		a, err := tx.CloseAlarm(req.GetId(), by, req.GetNote(), s.Now())
		resp.Alarm = alarmMessage(a)
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

func alarmMessage(a store.Alarm) *taplinev1.Alarm {
	return &taplinev1.Alarm{
		Id: a.ID, Kind: a.Kind, Station: string(a.Station), At: office.Stamp(a.At), What: a.What, Hint: a.Hint, ClosedAt: office.Stamp(a.ClosedAt),
		ClosedBy: a.ClosedBy, Note: a.Note,
	}
}

// GetHealth tells how the broker is.
func (s *Service) GetHealth(ctx context.Context, _ *taplinev1.GetHealthRequest) (*taplinev1.GetHealthResponse, error) {
	resp := &taplinev1.GetHealthResponse{
		Build: s.Build, Store: s.Store.Where(), StartedAt: office.Stamp(s.Started), StationsConnected: uint32(len(s.Board.Stations())),
		Conditions: s.Conditions(),
	}
	err := s.View(ctx, func(tx *store.Tx) error {
		n, err := tx.OpenAlarms()
		if err != nil {
			return err
		}
		resp.OpenAlarms = uint32(n)
		resp.Records, err = tx.LastCursor()
		return err
	})
	return resp, err
}

// translateMissing passes over the error that something is not there.
func translateMissing(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// notYet is the answer of what a later version brings.
func notYet(what string) error {
	return wire.E(wire.Unsupported, "%s: not in this version of the broker", what)
}

// PutVisit is not in this version.
func (*Service) PutVisit(context.Context, *taplinev1.PutVisitRequest) (*taplinev1.PutVisitResponse, error) {
	return nil, notYet("visits")
}

// ListVisits is not in this version.
func (*Service) ListVisits(context.Context, *taplinev1.ListVisitsRequest) (*taplinev1.ListVisitsResponse, error) {
	return nil, notYet("visits")
}

// DeleteVisit is not in this version.
func (*Service) DeleteVisit(context.Context, *taplinev1.DeleteVisitRequest) (*taplinev1.DeleteVisitResponse, error) {
	return nil, notYet("visits")
}

// DecideVisit is not in this version.
func (*Service) DecideVisit(context.Context, *taplinev1.DecideVisitRequest) (*taplinev1.DecideVisitResponse, error) {
	return nil, notYet("visits")
}
