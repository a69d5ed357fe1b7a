package admin

import (
	"context"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/broker/office"
	"tapline/broker/store"
	"tapline/proto/record"
	"tapline/proto/wire"
)

// ListRefusedTaps lists taps that were refused, newest first.
func (s *Service) ListRefusedTaps(ctx context.Context, req *taplinev1.ListRefusedTapsRequest) (*taplinev1.ListRefusedTapsResponse, error) {
	now := s.Now()
	after, limit := now.Add(-time.Hour), office.DefaultPage
	if req.GetAfter() != nil {
		if !req.GetAfter().IsValid() {
			return nil, wire.E(wire.Invalid, "after: out of range")
		}
		after = req.GetAfter().AsTime()
	}
	if n := req.GetLimit(); n > 0 {
		limit = int(min(n, office.MaxPage))
	}
	if len(req.GetStation()) > office.MaxText {
		return nil, wire.E(wire.Invalid, "station: longer than %d", office.MaxText)
	}
	resp := &taplinev1.ListRefusedTapsResponse{BrokerTime: timestamppb.New(now)}
	err := s.View(ctx, func(tx *store.Tx) error {
		if req.GetStation() != "" {
			if _, err := tx.Station(record.StationID(req.GetStation())); err != nil {
				return err
			}
		}
		found, err := tx.RefusalsAfter(record.StationID(req.GetStation()), after, limit)
		for _, r := range found {
			if !req.GetUnknownOnly() || r.Decision.GetRefusal() == taplinev1.RefusalCause_REFUSAL_CAUSE_UNKNOWN_BADGE {
				resp.Taps = append(resp.Taps, refusedTap(r))
			}
		}
		return err
	})
	return resp, err
}

func refusedTap(r store.Refusal) *taplinev1.RefusedTap {
	return &taplinev1.RefusedTap{
		Code: r.Code, Station: string(r.Station), At: office.Stamp(r.At), Refusal: r.Decision.GetRefusal(), Person: string(r.Person),
		Technology: r.Technology, Assurance: r.Assurance, Decision: r.Decision,
	}
}

// ListBadgeRequests lists requests for unknown badges, newest first.
func (s *Service) ListBadgeRequests(ctx context.Context, req *taplinev1.ListBadgeRequestsRequest) (*taplinev1.ListBadgeRequestsResponse, error) {
	p, err := office.PageOf(req)
	if err != nil {
		return nil, err
	}
	var openAt time.Time
	if req.GetOpenOnly() {
		openAt = s.Now()
	}
	resp := &taplinev1.ListBadgeRequestsResponse{}
	err = s.View(ctx, func(tx *store.Tx) error {
		found, err := tx.BadgeRequests(openAt, p)
		if err != nil {
			return err
		}
		found, resp.NextPageToken = office.Cut(p, found, func(b store.BadgeRequest) string { return b.ID })
		for _, b := range found {
			resp.Requests = append(resp.Requests, s.requestMessage(b))
		}
		return nil
	})
	return resp, err
}

// DecideBadgeRequest gives a badge that was asked for, or refuses. Whoever set the person's PIN lately must not also approve: with a PIN alone shown, they
// could have asked themselves.
func (s *Service) DecideBadgeRequest(ctx context.Context, req *taplinev1.DecideBadgeRequestRequest) (*taplinev1.DecideBadgeRequestResponse, error) {
	b, err := s.Claims.Decide(ctx, req, func(tx *store.Tx, person record.PersonID) error {
		return s.give(ctx, tx, person, store.CredentialBadge)
	})
	if err != nil {
		return nil, err
	}
	return &taplinev1.DecideBadgeRequestResponse{Request: s.requestMessage(b)}, nil
}

func (s *Service) requestMessage(b store.BadgeRequest) *taplinev1.BadgeRequest {
	state := b.State
	if state == store.RequestOpen && !s.Now().Before(b.ExpiresAt) {
		state = "expired"
	}
	return &taplinev1.BadgeRequest{
		Id: b.ID, Station: string(b.Station), Person: string(b.Person), ShownBy: b.ShownBy, Technology: b.Technology, Assurance: b.Assurance,
		MadeAt: office.Stamp(b.MadeAt), ExpiresAt: office.Stamp(b.ExpiresAt), State: state, DecidedBy: b.DecidedBy, DecidedAt: office.Stamp(b.DecidedAt),
		Note: b.Note, Badge: b.Badge,
	}
}
