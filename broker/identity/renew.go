package identity

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/alarm"
	"tapline/broker/store"
	"tapline/proto/record"
	"tapline/proto/wire"
)

// renewal is a checked request for the next certificate.
type renewal struct {
	station  record.StationID
	csrKey   any
	sequence uint64 // of the identity in hand
	digest   []byte // of the request: the CSR's
	serial   string // of the certificate shown; empty for a recovery
}

// Renew trades a certificate request for the next certificate. cert is the one that the caller showed.
func (r *Registrar) Renew(ctx context.Context, station record.StationID, cert *x509.Certificate, req *taplinev1.RenewRequest) (*taplinev1.Identity, error) {
	key, err := readCSR(req.GetCsr())
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(req.GetCsr())
	return r.next(ctx, renewal{
		station: station, csrKey: key, sequence: req.GetJoinSequence(), digest: sum[:], serial: Serial(cert),
	}, func(*store.Tx, store.Station) error { return nil })
}

// next does a renewal or a recovery; allowed may refuse it. A clone is found here: its quarantine is stored although the request fails.
func (r *Registrar) next(ctx context.Context, n renewal, allowed func(*store.Tx, store.Station) error) (*taplinev1.Identity, error) {
	var id *taplinev1.Identity
	var refused error
	err := r.Store.Update(ctx, func(tx *store.Tx) error {
		s, err := knownStation(tx, n.station)
		if err != nil {
			return err
		}
		if err := allowed(tx, s); err != nil {
			return err
		}
		id, refused, err = r.advance(tx, s, n)
		return err
	})
	if err != nil {
		return nil, err
	}
	r.Forget(n.station)
	return id, refused
}

// advance is the law of the join sequence. The sequence is looked at first, before anything that could let a copy slip by.
func (r *Registrar) advance(tx *store.Tx, s store.Station, n renewal) (id *taplinev1.Identity, refused, err error) {
	now := r.Now()
	repeated := n.sequence+1 == s.Join.Sequence && bytes.Equal(n.digest, s.Join.Request)
	switch {
	case !repeated && n.sequence != s.Join.Sequence:
		refused, err = r.quarantine(tx, s, n, now)
		return nil, refused, err
	case s.State == taplinev1.StationState_STATION_STATE_QUARANTINED:
		return nil, wire.E(wire.Precondition, "station %s is quarantined (%s): an administrator must release it", n.station, s.StateReason), nil
	case s.State != taplinev1.StationState_STATION_STATE_ENROLLED:
		return nil, wire.E(wire.Denied, "station %s is not enrolled (%s)", n.station, s.StateReason), nil
	case repeated && s.Join.ExpiresAt.Sub(now) > StationLife/2:
		id, err = r.again(n.station, s.Join.Reply)
		return id, nil, err
	}
	sequence := s.Join.Sequence
	if !repeated { // else the answer got lost for so long that its certificate is stale: the same sequence number, a fresh certificate
		sequence++
	}
	id, err = r.successor(tx, s, n, sequence)
	return id, nil, err
}

func (r *Registrar) successor(tx *store.Tx, s store.Station, n renewal, sequence uint64) (*taplinev1.Identity, error) {
	statement, err := statementOf(tx, s)
	if err != nil {
		return nil, err
	}
	id, cert, err := r.issueTo(tx, s, n.csrKey, sequence, statement)
	if err != nil {
		return nil, err
	}
	reply, err := r.keep(n.station, id)
	if err != nil {
		return nil, err
	}
	j := s.Join
	j.Sequence, j.Request, j.Reply, j.ExpiresAt = sequence, n.digest, reply, cert.NotAfter
	return id, tx.SetStationJoin(n.station, j)
}

// quarantine stops a station of which there are two.
func (r *Registrar) quarantine(tx *store.Tx, s store.Station, n renewal, now time.Time) (refused, err error) {
	refused = wire.E(wire.Stale, "join sequence %d, the station is at %d: there are two copies of %s, or its disk was restored; an administrator must release it",
		n.sequence, s.Join.Sequence, n.station)
	if s.State != taplinev1.StationState_STATION_STATE_ENROLLED {
		return refused, nil
	}
	err = tx.SetStationState(n.station, taplinev1.StationState_STATION_STATE_QUARANTINED, "clone")
	if err == nil {
		err = alarm.Raise(tx, alarm.Clone, n.station, now, "a copy with join sequence %d and certificate %s asked to renew; the station is at %d",
			n.sequence, n.serial, s.Join.Sequence)
	}
	return refused, err
}
