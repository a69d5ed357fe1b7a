package identity

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/store"
	"tapline/proto/record"
	"tapline/proto/wire"
)

// Limits of challenges.
const (
	challengeLife = time.Minute
	maxChallenges = 4096
)

// challenges are the nonces that are out. They are kept in memory: a station that meets another broker, or a restart, just asks again.
type challenges struct {
	mu  sync.Mutex // guards out
	out map[[32]byte]challenge
}

type challenge struct {
	station record.StationID
	until   time.Time
}

// Challenge makes a nonce for a station to sign.
func (r *Registrar) Challenge(station record.StationID) ([]byte, error) {
	if !station.Valid() {
		return nil, wire.E(wire.Invalid, "station: %q is not site/area/line/station", clip(string(station)))
	}
	now := r.Now()
	var nonce [32]byte
	_, _ = rand.Read(nonce[:])
	c := &r.challenges
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out == nil {
		c.out = map[[32]byte]challenge{}
	}
	if len(c.out) >= maxChallenges {
		for n, old := range c.out {
			if now.After(old.until) {
				delete(c.out, n)
			}
		}
	}
	if len(c.out) >= maxChallenges {
		return nil, wire.E(wire.Busy, "too many stations recover at once; try again in a minute")
	}
	c.out[nonce] = challenge{station: station, until: now.Add(challengeLife)}
	return nonce[:], nil
}

// redeem takes a nonce out of the game, and says whether it was good.
func (c *challenges) redeem(nonce []byte, station record.StationID, now time.Time) bool {
	if len(nonce) != 32 {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	got, ok := c.out[[32]byte(nonce)]
	delete(c.out, [32]byte(nonce))
	return ok && got.station == station && !now.After(got.until)
}

// Recover gives a station whose certificate has expired the next one, against its identity key's signature.
func (r *Registrar) Recover(ctx context.Context, req *taplinev1.RecoverRequest) (*taplinev1.Identity, error) {
	station := record.StationID(req.GetStation())
	if !station.Valid() {
		return nil, wire.E(wire.Invalid, "station: %q is not site/area/line/station", clip(req.GetStation()))
	}
	key, err := readCSR(req.GetCsr())
	if err != nil {
		return nil, err
	}
	if !r.challenges.redeem(req.GetNonce(), station, r.Now()) {
		return nil, wire.E(wire.Unauthenticated, "nonce: not one of ours for this station, used before, or older than a minute")
	}
	sum := sha256.Sum256(req.GetCsr())
	n := renewal{station: station, csrKey: key, sequence: req.GetJoinSequence(), digest: sum[:]}
	digest := wire.RecoverDigest(req.GetStation(), req.GetNonce(), req.GetCsr(), req.GetJoinSequence())
	return r.next(ctx, n, func(_ *store.Tx, s store.Station) error {
		if len(s.Join.IdentityKey) == 0 {
			return wire.E(wire.Unauthenticated, "station %s is not enrolled", station)
		}
		if err := checkProof(s.Join.IdentityKey, digest, req.GetProof()); err != nil {
			return err
		}
		away := r.Now().Sub(s.Join.ExpiresAt)
		repeated := n.sequence+1 == s.Join.Sequence && bytes.Equal(n.digest, s.Join.Request)
		if away > MaxAway && !repeated {
			return wire.E(wire.Precondition, "station %s was away for %d days: an administrator must release it", station, int(away.Hours()/24))
		}
		return nil
	})
}
