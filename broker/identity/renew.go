package identity

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/alarm"
	"tapline/broker/store"
	"tapline/proto/record"
	"tapline/proto/vouch"
	"tapline/proto/wire"
)

// renewal is a checked request for the next certificate.
type renewal struct {
	station  record.StationID
	csrKey   any
	sequence uint64 // of the identity in hand
	digest   []byte // of the request: the CSR's
	serial   string // of the certificate shown; empty for a recovery
	join     []byte // join statement; of a recovery only, may be empty
}

// outcome is what becomes of a request: an identity, or a refusal that is kept in the store with all that was noted on the way.
type outcome struct {
	id      *taplinev1.Identity
	refused error
}

// Renew trades a certificate request for the next certificate. cert is the one that the caller showed.
func (r *Registrar) Renew(ctx context.Context, station record.StationID, cert *x509.Certificate, req *taplinev1.RenewRequest) (*taplinev1.Identity, error) {
	key, err := readCSR(req.GetCsr(), string(station))
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(req.GetCsr())
	n := renewal{station: station, csrKey: key, sequence: req.GetJoinSequence(), digest: sum[:], serial: Serial(cert)}
	return r.next(ctx, n, func(*store.Tx, store.Station, store.Standing) (refused, err error) { return nil, nil })
}

// next does a renewal or a recovery; allowed may refuse it. A clone is found here: its quarantine is stored although the request fails.
func (r *Registrar) next(ctx context.Context, n renewal, allowed func(*store.Tx, store.Station, store.Standing) (refused, err error)) (*taplinev1.Identity, error) {
	if err := r.Authority.Ready(ctx); err != nil {
		return nil, err
	}
	var out outcome
	err := r.Store.Update(ctx, func(tx *store.Tx) error {
		s, err := knownStation(tx, n.station)
		if err != nil {
			return err
		}
		standing, err := tx.Standing(n.station)
		if err != nil {
			return err
		}
		if out.refused, err = allowed(tx, s, standing); err != nil || out.refused != nil {
			return err
		}
		out, err = r.advance(tx, s, standing, n)
		return err
	})
	if err != nil {
		return nil, err
	}
	r.Forget(n.station)
	return out.id, out.refused
}

// advance is the law of the join sequence. The sequence is looked at first, before anything that could let a copy slip by.
func (r *Registrar) advance(tx *store.Tx, s store.Station, st store.Standing, n renewal) (out outcome, err error) {
	now := r.Now()
	repeated := n.sequence < s.Join.Sequence && bytes.Equal(n.digest, s.Join.Request)
	turn := n.sequence == s.Join.Sequence || n.sequence != 0 && n.sequence == st.Released
	_, ahead := r.knowsMore(s, n)
	ahead = ahead && !repeated && !turn
	switch {
	case s.State == taplinev1.StationState_STATION_STATE_REVOKED:
		return outcome{refused: wire.E(wire.Denied, "station %s is revoked (%s)", n.station, s.StateReason)}, nil
	case !repeated && !turn && !ahead:
		out.refused, err = r.meetCopy(tx, s, st, n, now)
		return out, err
	case s.State == taplinev1.StationState_STATION_STATE_QUARANTINED:
		return outcome{refused: wire.E(wire.Precondition, "station %s is quarantined (%s): an administrator must release it", n.station, s.StateReason)}, nil
	case s.State != taplinev1.StationState_STATION_STATE_ENROLLED:
		return outcome{refused: wire.E(wire.Denied, "station %s is not enrolled (%s)", n.station, s.StateReason)}, nil
	case repeated && s.Join.ExpiresAt.Sub(now) > StationLife/2 && s.Join.ExpiresAt.Sub(now) <= StationLife:
		out.id, err = r.again(n.station, s.Join.Reply)
		return out, err
	}
	sequence := s.Join.Sequence
	if ahead {
		sequence = n.sequence
		err := alarm.Raise(tx, alarm.StoreBehind, n.station, now, "the station has join sequence %d by our own signature, the store knows %d", n.sequence, s.Join.Sequence)
		if err != nil {
			return out, err
		}
	}
	if !repeated { // else the answer got lost for so long that its certificate is stale: the same sequence number, a fresh certificate
		sequence++
	}
	out.id, err = r.successor(tx, s, st, n, sequence)
	return out, err
}

// knowsMore reports whether the station shows by our own signature that it is further than the store: the store was restored from a backup.
// What was given up with another copy is not further.
func (r *Registrar) knowsMore(s store.Station, n renewal) (vouch.Join, bool) {
	if n.sequence <= s.Join.Sequence || len(n.join) == 0 {
		return vouch.Join{}, false
	}
	j, err := vouch.OpenJoin(n.join, r.Evidence.Public(), n.station)
	return j, err == nil && j.Sequence == n.sequence
}

func (r *Registrar) successor(tx *store.Tx, s store.Station, st store.Standing, n renewal, sequence uint64) (*taplinev1.Identity, error) {
	statement, err := statementOf(tx, s)
	if err != nil {
		return nil, err
	}
	id, cert, err := r.issueTo(tx, s, s.Chain, n.csrKey, sequence, statement)
	if err != nil {
		return nil, err
	}
	reply, err := r.keep(n.station, id)
	if err != nil {
		return nil, err
	}
	if st.Released != 0 || !st.ApprovedUntil.IsZero() { // both were for this one time
		if err := tx.GiveUpOthers(n.station, n.digest); err != nil {
			return nil, err
		}
		if st.Released != 0 { // whoever still has the number that was released is the other copy
			st.AbandonedFrom = st.Released - 1
		}
		st.Released, st.ApprovedUntil, st.ApprovedBy = 0, time.Time{}, ""
		if err := tx.PutStanding(n.station, st); err != nil {
			return nil, err
		}
	}
	j := s.Join
	j.Sequence, j.Request, j.Reply, j.ExpiresAt = sequence, n.digest, reply, cert.NotAfter
	return id, tx.SetStationJoin(n.station, j)
}

// meetCopy refuses whoever asks when it is not their turn, and stops a station of which there are two. A copy that an administrator has given up
// stops nothing any more: else it would, by asking on, have the last word about the one that was picked.
func (r *Registrar) meetCopy(tx *store.Tx, s store.Station, st store.Standing, n renewal, now time.Time) (refused, err error) {
	known, err := tx.CopyOf(n.station, n.digest)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	gone := known.GivenUp || st.AbandonedFrom < n.sequence && n.sequence <= st.AbandonedTo
	seen := store.Copy{Request: n.digest, Join: n.sequence, Serial: n.serial, First: now, Last: now}
	if err := tx.SeeCopy(n.station, seen); err != nil {
		return nil, err
	}
	if gone {
		return wire.E(wire.Stale, "this copy of %s (join sequence %d) was given up by an administrator: enrol it anew, under another name if both shall live",
			n.station, n.sequence), nil
	}
	refused = wire.E(wire.Stale, "join sequence %d, the station is at %d: there are two copies of %s, or its disk was restored; an administrator must release it",
		n.sequence, s.Join.Sequence, n.station)
	if s.State != taplinev1.StationState_STATION_STATE_ENROLLED {
		return refused, nil
	}
	st.QuarantinedAt = now
	if err := tx.PutStanding(n.station, st); err != nil {
		return nil, err
	}
	if err := tx.SetStationState(n.station, taplinev1.StationState_STATION_STATE_QUARANTINED, "clone"); err != nil {
		return nil, err
	}
	return refused, alarm.Raise(tx, alarm.Clone, n.station, now, "a copy with join sequence %d and certificate %s asked to renew; the station is at %d",
		n.sequence, n.shown(), s.Join.Sequence)
}

// shown is the certificate that came with a request, in words.
func (n renewal) shown() string {
	if n.serial == "" {
		return "none (it proved its identity key)"
	}
	return n.serial
}
