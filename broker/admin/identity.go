package admin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/broker/identity"
	"tapline/broker/office"
	"tapline/broker/store"
	"tapline/proto/record"
	"tapline/proto/wire"
)

// ReleaseStation ends a quarantine, or a revocation, in favour of one copy.
func (s *Service) ReleaseStation(ctx context.Context, req *taplinev1.ReleaseStationRequest) (*taplinev1.ReleaseStationResponse, error) {
	id := record.StationID(req.GetId())
	if req.GetSerial() != "" && req.GetJoinSequence() != 0 {
		return nil, wire.E(wire.Invalid, "serial, join_sequence: name the copy by one of them")
	}
	resp := &taplinev1.ReleaseStationResponse{}
	err := s.Change(ctx, "ReleaseStation", req.GetId(), req, func(tx *store.Tx) error {
		if err := s.release(tx, id, strings.ToLower(req.GetSerial()), req.GetJoinSequence(), office.Caller(ctx)); err != nil {
			return err
		}
		var err error
		resp.Station, err = s.stationMessage(tx, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.Registrar.Forget(id)
	s.Board.Cut(id, wire.E(wire.Unavailable, "station %s was released; come again", id))
	return resp, nil
}

func (s *Service) release(tx *store.Tx, id record.StationID, serial string, join uint64, by string) error {
	st, err := tx.Station(id)
	if err != nil {
		return err
	}
	if len(st.Join.IdentityKey) == 0 {
		return wire.E(wire.Precondition, "station %s was never enrolled: make a token for it", id)
	}
	standing, err := tx.Standing(id)
	if err != nil {
		return err
	}
	if serial != "" {
		c, err := tx.Certificate(serial)
		if err != nil || c.Subject != string(id) || c.Role != wire.RoleStation {
			return wire.E(wire.Invalid, "serial: not a certificate of station %s; tapctl station show lists them", id)
		}
		join = c.Join
	}
	if join > st.Join.Sequence {
		return wire.E(wire.Invalid, "join_sequence: %d, station %s has come to %d", join, id, st.Join.Sequence)
	}
	if join != 0 {
		if err := pick(tx, st, &standing, join, s); err != nil {
			return err
		}
	}
	since, err := identity.AwaySince(tx, st, s.Now())
	if err != nil {
		return err
	}
	if s.Now().Sub(since) > identity.MaxAway || join != 0 && join < st.Join.Sequence { // the release is the approval to recover
		standing.ApprovedUntil, standing.ApprovedBy = s.Now().Add(identity.ApprovedFor), by
	}
	if err := tx.PutStanding(id, standing); err != nil {
		return err
	}
	return tx.SetStationState(id, taplinev1.StationState_STATION_STATE_ENROLLED, "")
}

// pick makes the copy with a join sequence number the live one. The numbers go on upwards all the same, so that no two certificates
// ever have the same; those after the picked one's were the other copy's, and are given up with it.
func pick(tx *store.Tx, st store.Station, standing *store.Standing, join uint64, s *Service) error {
	if err := tx.RevokeOtherJoins(string(st.ID()), join, s.Now()); err != nil {
		return err
	}
	if err := tx.GiveUpCopies(st.ID(), join); err != nil {
		return err
	}
	standing.Released, standing.AbandonedFrom, standing.AbandonedTo = 0, 0, 0
	if join < st.Join.Sequence {
		standing.Released, standing.AbandonedFrom, standing.AbandonedTo = join, join, st.Join.Sequence
		st.Join.Sequence++ // so that the other copy, which has the newest number, is not taken for the station
		st.Join.Request, st.Join.Reply = nil, nil
	}
	return tx.SetStationJoin(st.ID(), st.Join)
}

// ApproveRecovery lets a station come back that was away for too long to do so by itself.
func (s *Service) ApproveRecovery(ctx context.Context, req *taplinev1.ApproveRecoveryRequest) (*taplinev1.ApproveRecoveryResponse, error) {
	id := record.StationID(req.GetId())
	until := s.Now().Add(identity.ApprovedFor)
	err := s.Change(ctx, "ApproveRecovery", req.GetId(), req, func(tx *store.Tx) error {
		st, err := tx.Station(id)
		if err != nil {
			return err
		}
		since, err := identity.AwaySince(tx, st, s.Now())
		if err != nil {
			return err
		}
		if err := needsApproval(st, since, s.Now()); err != nil {
			return err
		}
		standing, err := tx.Standing(id)
		if err != nil {
			return err
		}
		standing.ApprovedUntil, standing.ApprovedBy = until, office.Caller(ctx)
		return tx.PutStanding(id, standing)
	})
	if err != nil {
		return nil, err
	}
	return &taplinev1.ApproveRecoveryResponse{Until: timestamppb.New(until)}, nil
}

func needsApproval(st store.Station, since, now time.Time) error {
	id := st.ID()
	switch away := now.Sub(since); {
	case len(st.Join.IdentityKey) == 0:
		return wire.E(wire.Precondition, "station %s was never enrolled: make a token for it", id)
	case st.State == taplinev1.StationState_STATION_STATE_QUARANTINED:
		return wire.E(wire.Precondition, "station %s is quarantined (%s): release it instead, and say which copy is the real one", id, st.StateReason)
	case st.State == taplinev1.StationState_STATION_STATE_REVOKED:
		return wire.E(wire.Precondition, "station %s is revoked (%s): make a new token for it, or release it if the revocation was wrong", id, st.StateReason)
	case away <= identity.MaxAway:
		return wire.E(wire.Precondition, "station %s needs no approval: it comes back by itself until %s", id,
			since.Add(identity.MaxAway).UTC().Format("2006-01-02"))
	}
	return nil
}

// shownLimit bounds what is listed of one station.
const shownLimit = 20

// GetStation tells of one station where its identity stands.
func (s *Service) GetStation(ctx context.Context, req *taplinev1.GetStationRequest) (*taplinev1.GetStationResponse, error) {
	id := record.StationID(req.GetId())
	resp := &taplinev1.GetStationResponse{}
	err := s.View(ctx, func(tx *store.Tx) error {
		st, err := tx.Station(id)
		if err != nil {
			return err
		}
		if resp.Station, err = s.message(tx, st); err != nil || len(st.Join.IdentityKey) == 0 {
			return err
		}
		resp.Identity, err = s.identityOf(tx, st)
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

func (s *Service) identityOf(tx *store.Tx, st store.Station) (*taplinev1.StationIdentity, error) {
	standing, err := tx.Standing(st.ID())
	if err != nil {
		return nil, err
	}
	since, err := identity.AwaySince(tx, st, s.Now())
	if err != nil {
		return nil, err
	}
	print := sha256.Sum256(st.Join.IdentityKey)
	m := &taplinev1.StationIdentity{
		Fingerprint: hex.EncodeToString(print[:]), EnrolledAt: office.Stamp(st.Join.EnrolledAt), JoinSequence: st.Join.Sequence,
		QuarantinedAt: office.Stamp(standing.QuarantinedAt), RecoversUntil: office.Stamp(since.Add(identity.MaxAway)), Trust: standing.Trust,
	}
	if standing.ApprovedUntil.After(s.Now()) {
		m.ApprovedUntil = office.Stamp(standing.ApprovedUntil)
	}
	certificates, err := tx.CertificatesOf(wire.RoleStation, string(st.ID()), shownLimit)
	if err != nil {
		return nil, err
	}
	for _, c := range certificates {
		m.Certificates = append(m.Certificates, &taplinev1.StationCertificate{
			Serial: c.Serial, JoinSequence: c.Join, NotBefore: office.Stamp(c.NotBefore), NotAfter: office.Stamp(c.NotAfter), Revoked: !c.RevokedAt.IsZero(),
		})
	}
	copies, err := tx.Copies(st.ID(), shownLimit)
	for _, c := range copies {
		m.Copies = append(m.Copies, &taplinev1.StationCopy{
			JoinSequence: c.Join, Serial: c.Serial, FirstSeenAt: office.Stamp(c.First), LastSeenAt: office.Stamp(c.Last), GivenUp: c.GivenUp,
		})
	}
	return m, err
}

// GetAuthority tells how the certificate authority is.
func (s *Service) GetAuthority(ctx context.Context, _ *taplinev1.GetAuthorityRequest) (*taplinev1.GetAuthorityResponse, error) {
	var resp *taplinev1.GetAuthorityResponse
	err := s.View(ctx, func(tx *store.Tx) (err error) {
		resp, err = s.Registrar.Authority.Describe(tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// RotateAuthority takes the certificate authority one step further.
func (s *Service) RotateAuthority(ctx context.Context, req *taplinev1.RotateAuthorityRequest) (*taplinev1.RotateAuthorityResponse, error) {
	resp := &taplinev1.RotateAuthorityResponse{}
	err := s.Change(ctx, "RotateAuthority", req.GetStep(), req, func(tx *store.Tx) (err error) {
		if err = s.Registrar.Authority.Step(tx, req.GetStep(), req.GetForce()); err != nil {
			return err
		}
		resp.Authority, err = s.Registrar.Authority.Describe(tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := s.Registrar.Authority.Refresh(ctx); err != nil {
		return nil, err
	}
	trust, err := s.Registrar.Trust()
	if err != nil {
		return nil, err
	}
	for _, id := range s.Board.Stations() {
		s.Board.Tell(id, &taplinev1.StreamCommandsResponse{What: &taplinev1.StreamCommandsResponse_Trust{Trust: trust}})
	}
	return resp, nil
}
