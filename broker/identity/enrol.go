package identity

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/store"
	"tapline/proto/record"
	"tapline/proto/wire"
)

// enrolment is a checked EnrolRequest.
type enrolment struct {
	station record.StationID
	chain   record.ChainID
	token   string
	csrKey  any
	spki    []byte
	first   record.PublicKey
	build   string
	hints   map[string]string
	digest  []byte
}

// Limits of what a station says of itself.
const (
	maxHints = 32
	maxHint  = 256
	maxToken = 256
	maxBuild = 128
)

func readEnrolment(req *taplinev1.EnrolRequest) (enrolment, error) {
	e := enrolment{
		station: record.StationID(req.GetStation()), chain: record.ChainID(req.GetChain()), token: req.GetToken(),
		spki: req.GetIdentityKey(), build: req.GetBuild(), hints: req.GetHints(),
	}
	switch {
	case e.token == "" || len(e.token) > maxToken:
		return e, wire.E(wire.Invalid, "token: missing or too long")
	case !e.station.Valid():
		return e, wire.E(wire.Invalid, "station: %q is not site/area/line/station", clip(req.GetStation()))
	case !e.chain.Valid():
		return e, wire.E(wire.Invalid, "chain: not a UUID in lower case")
	case len(e.build) > maxBuild:
		return e, wire.E(wire.Invalid, "build: longer than %d", maxBuild)
	case len(e.hints) > maxHints:
		return e, wire.E(wire.Invalid, "hints: more than %d", maxHints)
	}
	for k, v := range e.hints {
		if len(k) > maxHint || len(v) > maxHint {
			return e, wire.E(wire.Invalid, "hints: one is longer than %d", maxHint)
		}
	}
	var err error
	if e.first, err = record.NewPublicKey(req.GetRecordKey()); err != nil {
		return e, wire.E(wire.Invalid, "record_key: %w", err)
	}
	if e.csrKey, err = readCSR(req.GetCsr(), string(e.station)); err != nil {
		return e, err
	}
	signed := wire.EnrolDigest(e.token, req.GetStation(), req.GetCsr(), req.GetRecordKey(), req.GetChain())
	sum := sha256.Sum256(append(signed[:], e.spki...))
	e.digest = sum[:]
	return e, checkProof(e.spki, signed, req.GetProof())
}

// clip shortens what a stranger sent before it is shown.
func clip(s string) string { return s[:min(len(s), 80)] }

// Enrol trades a token for an identity.
func (r *Registrar) Enrol(ctx context.Context, req *taplinev1.EnrolRequest) (*taplinev1.Identity, error) {
	e, err := readEnrolment(req)
	if err != nil {
		return nil, err
	}
	// A look first: strangers who try tokens must not take the writer's turn from those who work.
	if err := r.Store.View(ctx, func(tx *store.Tx) error { _, err := tokenOf(tx, e); return err }); err != nil {
		return nil, err
	}
	if err := r.Authority.Ready(ctx); err != nil {
		return nil, err
	}
	var id *taplinev1.Identity
	err = r.Store.Update(ctx, func(tx *store.Tx) (err error) {
		id, err = r.enrol(tx, e)
		return err
	})
	if err != nil {
		return nil, err
	}
	r.Forget(e.station)
	return id, nil
}

// tokenOf finds the token that is shown, if it is one of ours for the station.
func tokenOf(tx *store.Tx, e enrolment) (store.Token, error) {
	t, err := tx.TokenByHash(hashToken(e.token))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return t, wire.E(wire.Unauthenticated, "the token is not known")
	case err != nil:
		return t, err
	case t.Station != e.station:
		return t, wire.E(wire.Unauthenticated, "the token is for another station")
	case !t.RevokedAt.IsZero():
		return t, wire.E(wire.Unauthenticated, "the token was taken back")
	}
	return t, nil
}

func (r *Registrar) enrol(tx *store.Tx, e enrolment) (*taplinev1.Identity, error) {
	now := r.Now()
	t, err := tokenOf(tx, e)
	if err != nil {
		return nil, err
	}
	s, err := knownStation(tx, e.station)
	if err != nil {
		return nil, err
	}
	if !t.UsedAt.IsZero() {
		return r.enrolAgain(t, s, e, now)
	}
	if now.After(t.ExpiresAt) {
		return nil, wire.E(wire.Unauthenticated, "the token expired at %s", t.ExpiresAt.Format(time.RFC3339))
	}
	if s.Join.EnrolledAt.After(t.MadeAt) && !bytes.Equal(s.Join.IdentityKey, e.spki) {
		return nil, wire.E(wire.Exists, "station %s was enrolled with another key after this token was made; make a new token", e.station)
	}
	return r.join(tx, t, s, e, now)
}

// enrolAgain answers a request that comes again because the first answer was lost. It ends with the station's first renewal.
func (r *Registrar) enrolAgain(t store.Token, s store.Station, e enrolment, now time.Time) (*taplinev1.Identity, error) {
	if s.State == taplinev1.StationState_STATION_STATE_REVOKED {
		return nil, wire.E(wire.Denied, "station %s is revoked (%s): make a new token for it", e.station, s.StateReason)
	}
	if bytes.Equal(t.Request, e.digest) && now.Sub(t.UsedAt) < repeatFor && s.Chain == e.chain {
		id, err := r.again(e.station, t.Reply)
		if err == nil && id.GetJoinSequence() == s.Join.Sequence {
			return id, nil
		}
	}
	return nil, wire.E(wire.Unauthenticated, "the token was used at %s; a token works once", t.UsedAt.Format(time.RFC3339))
}

// join makes the station's new chain and first certificate.
func (r *Registrar) join(tx *store.Tx, t store.Token, s store.Station, e enrolment, now time.Time) (*taplinev1.Identity, error) {
	statement, err := r.beginChain(tx, s, e, now)
	if err != nil {
		return nil, err
	}
	if err := tx.RevokeCertificates(wire.RoleStation, string(e.station), "", now); err != nil {
		return nil, err
	}
	if err := tx.ForgetStanding(e.station); err != nil {
		return nil, err
	}
	id, cert, err := r.issueTo(tx, s, e.chain, e.csrKey, s.Join.Sequence+1, statement)
	if err != nil {
		return nil, err
	}
	reply, err := r.keep(e.station, id)
	if err != nil {
		return nil, err
	}
	err = tx.SetStationJoin(e.station, store.Join{
		IdentityKey: e.spki, Sequence: id.GetJoinSequence(), EnrolledAt: now, ExpiresAt: cert.NotAfter,
	})
	if err == nil {
		err = tx.SetStationChain(e.station, e.chain, e.build, e.hints)
	}
	if err == nil {
		err = tx.SetStationState(e.station, taplinev1.StationState_STATION_STATE_ENROLLED, "")
	}
	if err == nil {
		err = tx.UseToken(t.ID, e.digest, reply, now)
	}
	return id, err
}

// beginChain writes the statement of a new chain, which names where the station's chain before it ended.
func (r *Registrar) beginChain(tx *store.Tx, s store.Station, e enrolment, now time.Time) ([]byte, error) {
	statement := record.StationStatement{
		V: record.Version, Station: e.station, Chain: e.chain, IdentityKey: e.spki, FirstKey: e.first, EnrolledAt: now.UTC().Round(0),
	}
	previous, err := chainEnd(tx, e.station)
	if err != nil {
		return nil, err
	}
	statement.Previous = previous
	if err := statement.Validate(); err != nil {
		return nil, wire.E(wire.Invalid, "chain: %w", err)
	}
	envelope, err := r.Evidence.Sign(record.StationPayloadType, &statement)
	if err != nil {
		return nil, err
	}
	err = tx.AddChain(store.Chain{
		ID: e.chain, Station: e.station, Statement: envelope.Bytes(), Head: statement.Head(), EnrolledAt: now,
	})
	if errors.Is(err, store.ErrExists) {
		return nil, wire.E(wire.Exists, "chain: %s is in use", e.chain)
	}
	return envelope.Bytes(), err
}

// chainEnd is where a station's newest chain that has records ended; nil if there is none.
func chainEnd(tx *store.Tx, id record.StationID) (*record.ChainEnd, error) {
	c, err := tx.LastChain(id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil //nolint:nilnil // the first chain has none before it
	}
	if err != nil {
		return nil, err
	}
	return &record.ChainEnd{Chain: c.ID, Seq: c.Head.Seq, Hash: c.Head.Hash}, nil
}
