package identity

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/broker/alarm"
	"tapline/broker/store"
	"tapline/proto/record"
	"tapline/proto/vouch"
	"tapline/proto/wire"
)

// challengeLife is how long a nonce can be used.
const challengeLife = time.Minute

// A nonce is a time, random bytes, and a seal over both and the station under the master key, which all brokers on a store share. So a station may
// answer another broker than it asked, strangers who ask fill no table, and only a nonce that a station's identity key has signed is noted as spent.
const (
	nonceSize  = 32
	nonceClear = 16 // time in milliseconds, 8 bytes; random, 8 bytes
)

func (r *Registrar) sealNonce(station record.StationID, clearPart []byte) []byte {
	sum := r.Vault.Digest("recovery nonce", append(clearPart[:nonceClear:nonceClear], station...))
	return sum[:nonceSize-nonceClear]
}

// Challenge makes a nonce for a station to sign.
func (r *Registrar) Challenge(station record.StationID) ([]byte, error) {
	if !station.Valid() {
		return nil, wire.E(wire.Invalid, "station: %q is not site/area/line/station", clip(string(station)))
	}
	nonce := binary.BigEndian.AppendUint64(make([]byte, 0, nonceSize), uint64(r.Now().UnixMilli()))
	nonce = nonce[:nonceClear]
	_, _ = rand.Read(nonce[8:])
	return append(nonce, r.sealNonce(station, nonce)...), nil
}

// Answer is the whole answer to a request for a challenge: the nonce, and the time in the broker's own signature if the station asked for it.
func (r *Registrar) Answer(req *taplinev1.GetChallengeRequest) (*taplinev1.GetChallengeResponse, error) {
	station := record.StationID(req.GetStation())
	nonce, err := r.Challenge(station)
	if err != nil {
		return nil, err
	}
	resp := &taplinev1.GetChallengeResponse{Nonce: nonce}
	now := r.Now()
	switch n := len(req.GetNonce()); {
	case n == 0:
	case n < vouch.MinNonce || n > vouch.MaxNonce:
		return nil, wire.E(wire.Invalid, "nonce: %d bytes, want %d to %d or none", n, vouch.MinNonce, vouch.MaxNonce)
	default:
		if resp.Time, err = vouch.NewTime(r.Evidence, station, req.GetNonce(), now); err != nil {
			return nil, err
		}
	}
	resp.BrokerTime = timestamppb.New(now)
	return resp, nil
}

// nonceEnd is until when a nonce is good; false if it is not one of ours for the station, or too old.
func (r *Registrar) nonceEnd(nonce []byte, station record.StationID) (time.Time, bool) {
	if len(nonce) != nonceSize || !hmac.Equal(r.sealNonce(station, nonce), nonce[nonceClear:]) {
		return time.Time{}, false
	}
	made := time.UnixMilli(int64(binary.BigEndian.Uint64(nonce)))
	age := r.Now().Sub(made)
	return made.Add(challengeLife), age <= challengeLife && age >= -challengeLife // another broker's clock may be ahead of ours
}

func badNonce() error {
	return wire.E(wire.Unauthenticated, "nonce: not one of ours for this station, used before, or older than a minute")
}

// Recover gives a station whose certificate has expired the next one, against its identity key's signature.
func (r *Registrar) Recover(ctx context.Context, req *taplinev1.RecoverRequest) (*taplinev1.Identity, error) {
	station := record.StationID(req.GetStation())
	if !station.Valid() {
		return nil, wire.E(wire.Invalid, "station: %q is not site/area/line/station", clip(req.GetStation()))
	}
	if len(req.GetJoin()) > maxJoin {
		return nil, wire.E(wire.Invalid, "join: %d bytes, at most %d", len(req.GetJoin()), maxJoin)
	}
	key, err := readCSR(req.GetCsr(), string(station))
	if err != nil {
		return nil, err
	}
	until, good := r.nonceEnd(req.GetNonce(), station)
	if !good {
		return nil, badNonce()
	}
	sum := sha256.Sum256(req.GetCsr())
	n := renewal{station: station, csrKey: key, sequence: req.GetJoinSequence(), digest: sum[:], join: req.GetJoin()}
	digest := wire.RecoverDigest(req.GetStation(), req.GetNonce(), req.GetCsr(), req.GetJoinSequence())
	proven := func(s store.Station) error {
		if len(s.Join.IdentityKey) == 0 {
			return wire.E(wire.Unauthenticated, "station %s is not enrolled", station)
		}
		return checkProof(s.Join.IdentityKey, digest, req.GetProof())
	}
	// A look first: strangers who ask must not take the writer's turn from those who work.
	err = r.Store.View(ctx, func(tx *store.Tx) error {
		s, err := knownStation(tx, station)
		if err != nil {
			return err
		}
		return proven(s)
	})
	if err != nil {
		return nil, err
	}
	return r.next(ctx, n, func(tx *store.Tx, s store.Station, st store.Standing) (refused, err error) {
		if err := proven(s); err != nil {
			return nil, err
		}
		// The window of a nonce reaches a minute to either side of its making.
		if err := tx.SpendNonce(req.GetNonce(), until.Add(challengeLife), r.Now()); errors.Is(err, store.ErrExists) {
			return nil, badNonce()
		} else if err != nil {
			return nil, err
		}
		return r.tooLate(tx, s, st, n)
	})
}

// maxJoin bounds a join statement.
const maxJoin = 4 << 10

// AwaySince is since when a station has had no certificate that was good, for measuring how long it was away. If the broker's clock was far behind
// when the newest was made, that one ended before it began; then the one before counts.
func AwaySince(tx *store.Tx, s store.Station, now time.Time) (time.Time, error) {
	since := s.Join.ExpiresAt
	if now.Sub(since) <= MaxAway {
		return since, nil
	}
	certificates, err := tx.CertificatesOf(wire.RoleStation, string(s.ID()), certificatesKept)
	for _, c := range certificates {
		if c.NotAfter.After(since) && !c.NotAfter.After(now.Add(StationLife)) { // a later end was made by a clock that was ahead
			since = c.NotAfter
		}
	}
	return since, err
}

// certificatesKept is more than a station gets while they are remembered.
const certificatesKept = 40

// tooLate refuses a station that was away for so long that an administrator must approve its return, and tells them.
func (r *Registrar) tooLate(tx *store.Tx, s store.Station, st store.Standing, n renewal) (refused, err error) {
	now := r.Now()
	since, err := AwaySince(tx, s, now)
	if err != nil {
		return nil, err
	}
	if j, ahead := r.knowsMore(s, n); ahead && j.At.Add(StationLife).After(since) {
		since = j.At.Add(StationLife)
	}
	away := now.Sub(since)
	repeated := n.sequence < s.Join.Sequence && bytes.Equal(n.digest, s.Join.Request)
	if away <= MaxAway || repeated || now.Before(st.ApprovedUntil) || s.State != taplinev1.StationState_STATION_STATE_ENROLLED {
		return nil, nil
	}
	days := int(away.Hours() / 24)
	return wire.E(wire.Precondition, "station %s was away for %d days: an administrator must approve its return (tapctl station approve %s)", n.station, days, n.station),
		alarm.Raise(tx, alarm.Away, n.station, now, "the station was away for %d days and asks to come back", days)
}
