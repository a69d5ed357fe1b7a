package admin

import (
	"context"
	"errors"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/directory"
	"tapline/broker/identity"
	"tapline/broker/office"
	"tapline/broker/store"
	"tapline/proto/record"
	"tapline/proto/wire"
)

// PutStation makes or changes a station.
func (s *Service) PutStation(ctx context.Context, req *taplinev1.PutStationRequest) (*taplinev1.PutStationResponse, error) {
	entry := req.GetStation()
	if err := directory.CheckStation(entry); err != nil {
		return nil, err
	}
	resp := &taplinev1.PutStationResponse{}
	err := s.Change(ctx, "PutStation", entry.GetId(), req, func(tx *store.Tx) error {
		if a := entry.GetAccount(); a != "" {
			if _, err := tx.Account(record.AccountID(a)); errors.Is(err, store.ErrNotFound) {
				return wire.E(wire.Invalid, "station.account: there is no account %q", a)
			}
		}
		if _, err := tx.PutStation(entry); err != nil {
			return err
		}
		if err := tx.Changed(); err != nil {
			return err
		}
		var err error
		resp.Station, err = s.stationMessage(tx, record.StationID(entry.GetId()))
		return err
	})
	if err != nil {
		return nil, err
	}
	s.Changed()
	return resp, nil
}

// ListStations lists stations.
func (s *Service) ListStations(ctx context.Context, req *taplinev1.ListStationsRequest) (*taplinev1.ListStationsResponse, error) {
	p, err := office.PageOf(req)
	if err != nil {
		return nil, err
	}
	resp := &taplinev1.ListStationsResponse{}
	err = s.View(ctx, func(tx *store.Tx) error {
		found, err := tx.Stations(p)
		if err != nil {
			return err
		}
		found, resp.NextPageToken = office.Cut(p, found, func(st store.Station) string { return st.Entry.GetId() })
		for _, st := range found {
			m, err := s.message(tx, st)
			if err != nil {
				return err
			}
			resp.Stations = append(resp.Stations, m)
		}
		return nil
	})
	return resp, err
}

// DeleteStation removes a station; its chains and records stay.
func (s *Service) DeleteStation(ctx context.Context, req *taplinev1.DeleteStationRequest) (*taplinev1.DeleteStationResponse, error) {
	id := record.StationID(req.GetId())
	err := s.Change(ctx, "DeleteStation", req.GetId(), req, func(tx *store.Tx) error {
		st, err := tx.Station(id)
		if err != nil {
			return err
		}
		if st.State == taplinev1.StationState_STATION_STATE_ENROLLED {
			return wire.E(wire.Precondition, "station %s is enrolled: revoke it first", id)
		}
		if err := tx.RevokeCertificates(wire.RoleStation, string(id), "", s.Now()); err != nil {
			return err
		}
		return tx.DeleteStation(id)
	})
	if err != nil {
		return nil, err
	}
	s.cut(id, "deleted")
	return &taplinev1.DeleteStationResponse{}, nil
}

// RevokeStation cuts a station off at once.
func (s *Service) RevokeStation(ctx context.Context, req *taplinev1.RevokeStationRequest) (*taplinev1.RevokeStationResponse, error) {
	if err := office.Word("reason", req.GetReason()); err != nil {
		return nil, err
	}
	id := record.StationID(req.GetId())
	resp := &taplinev1.RevokeStationResponse{}
	err := s.Change(ctx, "RevokeStation", req.GetId(), req, func(tx *store.Tx) error {
		if err := tx.SetStationState(id, taplinev1.StationState_STATION_STATE_REVOKED, req.GetReason()); err != nil {
			return err
		}
		if err := tx.RevokeTokensOf(id, s.Now()); err != nil {
			return err
		}
		held, err := tx.LeasesOfStation(id)
		if err != nil {
			return err
		}
		for _, l := range held {
			if err := tx.EndLease(l.ID, "revoked", s.Now()); err != nil {
				return err
			}
		}
		resp.Station, err = s.stationMessage(tx, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.cut(id, req.GetReason())
	return resp, nil
}

// cut ends a station's streams.
func (s *Service) cut(id record.StationID, why string) {
	s.Registrar.Forget(id)
	s.Board.Cut(id, wire.E(wire.Denied, "station %s is revoked (%s)", id, why))
}

// CreateToken makes a one-use token.
func (s *Service) CreateToken(ctx context.Context, req *taplinev1.CreateTokenRequest) (*taplinev1.CreateTokenResponse, error) {
	id := record.StationID(req.GetStation())
	if !id.Valid() {
		return nil, wire.E(wire.Invalid, "station: not site/area/line/station")
	}
	lifetime, err := life(req.GetLifetime(), req.GetLifetime() != nil, identity.TokenLife, identity.MaxTokenLife)
	if err != nil {
		return nil, err
	}
	by := "unknown"
	if who, _, ok := wire.Caller(ctx); ok {
		by = who.Name
	}
	resp := &taplinev1.CreateTokenResponse{}
	err = s.Change(ctx, "CreateToken", req.GetStation(), req, func(tx *store.Tx) error {
		if err := ensureStation(tx, id, req.GetMustExist()); err != nil {
			return err
		}
		t, out, err := s.Registrar.NewToken(tx, id, lifetime, by)
		resp.Token, resp.Secret = tokenMessage(t), out.Encode()
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// ensureStation makes a station that is not there, or says so where it must be.
func ensureStation(tx *store.Tx, id record.StationID, must bool) error {
	if _, err := tx.Station(id); translateMissing(err) != nil || err == nil {
		return err
	}
	if must {
		return wire.E(wire.Precondition, "station: nobody has put %s: tapctl station put %s --account ACCOUNT, or token create --new", id, id)
	}
	entry := &taplinev1.Station{Id: string(id)}
	if err := directory.CheckStation(entry); err != nil {
		return err
	}
	_, err := tx.PutStation(entry)
	return err
}

// ListTokens lists tokens.
func (s *Service) ListTokens(ctx context.Context, req *taplinev1.ListTokensRequest) (*taplinev1.ListTokensResponse, error) {
	p, err := office.PageOf(req)
	if err != nil {
		return nil, err
	}
	resp := &taplinev1.ListTokensResponse{}
	err = s.View(ctx, func(tx *store.Tx) error {
		found, err := tx.Tokens(p)
		if err != nil {
			return err
		}
		found, resp.NextPageToken = office.Cut(p, found, func(t store.Token) string { return t.ID })
		for _, t := range found {
			resp.Tokens = append(resp.Tokens, tokenMessage(t))
		}
		return nil
	})
	return resp, err
}

// RevokeToken makes a token worthless.
func (s *Service) RevokeToken(ctx context.Context, req *taplinev1.RevokeTokenRequest) (*taplinev1.RevokeTokenResponse, error) {
	err := s.Change(ctx, "RevokeToken", req.GetId(), req, func(tx *store.Tx) error { return tx.RevokeToken(req.GetId(), s.Now()) })
	if err != nil {
		return nil, err
	}
	return &taplinev1.RevokeTokenResponse{}, nil
}

func tokenMessage(t store.Token) *taplinev1.Token {
	return &taplinev1.Token{
		Id: t.ID, Station: string(t.Station), ExpiresAt: office.Stamp(t.ExpiresAt), UsedAt: office.Stamp(t.UsedAt), CreatedBy: t.MadeBy,
		Revoked: !t.RevokedAt.IsZero(),
	}
}

func (s *Service) stationMessage(tx *store.Tx, id record.StationID) (*taplinev1.Station, error) {
	st, err := tx.Station(id)
	if err != nil {
		return nil, err
	}
	return s.message(tx, st)
}

// beatsWithin is how old the last sign of life of a station may be that is on the line of another broker: two beats and some.
const beatsWithin = 25 * time.Second

// beatsElsewhere reports whether a station is on the line of another broker on the same store, as far as the store shows it.
func (s *Service) beatsElsewhere(st store.Station) bool {
	return s.Store.Shared() && s.Now().Sub(st.LastSeenAt).Abs() < beatsWithin
}

// message is a station with all that is known of it.
func (s *Service) message(tx *store.Tx, st store.Station) (*taplinev1.Station, error) {
	m := st.Entry
	m.State, m.StateReason, m.Chain, m.LastSeenAt = st.State, st.StateReason, string(st.Chain), office.Stamp(st.LastSeenAt)
	m.Connected, m.Bundle, m.Build, m.Hints = s.Board.Connected(st.ID()) || s.beatsElsewhere(st), st.Bundle, st.Build, st.Hints
	m.CertificateExpiresAt, m.JoinSequence = office.Stamp(st.Join.ExpiresAt), st.Join.Sequence
	if st.Chain == "" {
		return m, nil
	}
	c, err := tx.Chain(st.Chain)
	m.AckedSeq = uint64(c.Head.Seq)
	return m, err
}
