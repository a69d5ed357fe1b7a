// Package station is the broker's side of a station: the StationService.
//
// An agent calls it over mutual TLS; package gate has checked its certificate against the registry. The service turns messages into calls of the parts
// that know: identity, session, ingest, bundle. It holds no state of its own beside the open streams.
//
// It never decides a tap and never touches a record.
package station

import (
	"context"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/bundle"
	"tapline/broker/claim"
	"tapline/broker/gate"
	"tapline/broker/identity"
	"tapline/broker/ingest"
	"tapline/broker/quota"
	"tapline/broker/secret"
	"tapline/broker/session"
	"tapline/broker/store"
	"tapline/broker/switchboard"
	"tapline/proto/wire"
)

// Service is the StationService.
type Service struct {
	taplinev1.UnimplementedStationServiceServer
	Store     *store.Store
	Gate      *gate.Gate
	Registrar *identity.Registrar
	Desk      *session.Desk
	Claims    *claim.Desk
	Ingest    *ingest.Ingest
	Bundles   *bundle.Maker
	// Stale is told that a station on the line has a bundle that is out of date: Announce is due. It does not wait.
	Stale func()
	// Quota lets uploads in; nil lets all in.
	Quota   *quota.Guard
	Board   *switchboard.Board
	Secrets *secret.Keeper
	Now     func() time.Time
	// Stopping is closed when the broker stops: open streams end.
	Stopping <-chan struct{}
}

// Enrol trades a token for an identity.
func (s *Service) Enrol(ctx context.Context, req *taplinev1.EnrolRequest) (*taplinev1.EnrolResponse, error) {
	id, err := s.Registrar.Enrol(ctx, req)
	if err != nil {
		return nil, err
	}
	return &taplinev1.EnrolResponse{Identity: id}, nil
}

// Renew gives the next certificate.
func (s *Service) Renew(ctx context.Context, req *taplinev1.RenewRequest) (*taplinev1.RenewResponse, error) {
	_, cert, _ := wire.Caller(ctx)
	id, err := s.Registrar.Renew(ctx, gate.Station(ctx), cert, req)
	if err != nil {
		return nil, err
	}
	return &taplinev1.RenewResponse{Identity: id}, nil
}

// GetChallenge gives a nonce to sign.
func (s *Service) GetChallenge(_ context.Context, req *taplinev1.GetChallengeRequest) (*taplinev1.GetChallengeResponse, error) {
	return s.Registrar.Answer(req)
}

// Recover gives a certificate to a station whose last one has expired.
func (s *Service) Recover(ctx context.Context, req *taplinev1.RecoverRequest) (*taplinev1.RecoverResponse, error) {
	id, err := s.Registrar.Recover(ctx, req)
	if err != nil {
		return nil, err
	}
	return &taplinev1.RecoverResponse{Identity: id}, nil
}

// OpenSession answers a tap.
func (s *Service) OpenSession(ctx context.Context, req *taplinev1.OpenSessionRequest) (*taplinev1.OpenSessionResponse, error) {
	return s.Desk.Open(ctx, gate.Station(ctx), req)
}

// ExtendSession keeps a lease.
func (s *Service) ExtendSession(ctx context.Context, req *taplinev1.ExtendSessionRequest) (*taplinev1.ExtendSessionResponse, error) {
	return s.Desk.Extend(ctx, gate.Station(ctx), req)
}

// CloseSession gives a lease back.
func (s *Service) CloseSession(ctx context.Context, req *taplinev1.CloseSessionRequest) (*taplinev1.CloseSessionResponse, error) {
	return s.Desk.Close(ctx, gate.Station(ctx), req)
}

// NameBadge says whose badge it is.
func (s *Service) NameBadge(ctx context.Context, req *taplinev1.NameBadgeRequest) (*taplinev1.NameBadgeResponse, error) {
	return s.Desk.NameBadge(ctx, gate.Station(ctx), req)
}

// VerifyPin checks the PIN of whoever is at the station.
func (s *Service) VerifyPin(ctx context.Context, req *taplinev1.VerifyPinRequest) (*taplinev1.VerifyPinResponse, error) {
	return s.Desk.VerifyPIN(ctx, gate.Station(ctx), req)
}

// RequestBadge takes somebody's wish to have an unknown badge.
func (s *Service) RequestBadge(ctx context.Context, req *taplinev1.RequestBadgeRequest) (*taplinev1.RequestBadgeResponse, error) {
	return s.Claims.Ask(ctx, gate.Station(ctx), req)
}

// FetchBundle gives the station's grant bundle.
func (s *Service) FetchBundle(ctx context.Context, req *taplinev1.FetchBundleRequest) (*taplinev1.FetchBundleResponse, error) {
	b, err := s.Bundles.Current(ctx, gate.Station(ctx))
	if err != nil {
		return nil, err
	}
	resp := &taplinev1.FetchBundleResponse{Sequence: b.Sequence}
	if b.Sequence != req.GetHave() {
		resp.Bundle = b.Envelope
	}
	return resp, nil
}

// ReleaseSecret hands out the secret of a session's account.
func (s *Service) ReleaseSecret(ctx context.Context, req *taplinev1.ReleaseSecretRequest) (*taplinev1.ReleaseSecretResponse, error) {
	return s.Secrets.Release(ctx, gate.Station(ctx), req)
}

// TakeRotation hands out a secret that the station is to set.
func (s *Service) TakeRotation(ctx context.Context, req *taplinev1.TakeRotationRequest) (*taplinev1.TakeRotationResponse, error) {
	return s.Secrets.Take(ctx, gate.Station(ctx), req)
}

// ReportRotation takes what became of it.
func (s *Service) ReportRotation(ctx context.Context, req *taplinev1.ReportRotationRequest) (*taplinev1.ReportRotationResponse, error) {
	return s.Secrets.Report(ctx, gate.Station(ctx), req)
}
