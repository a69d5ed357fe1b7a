package secret

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/broker/acts"
	"tapline/broker/identity"
	"tapline/broker/lease"
	"tapline/broker/office"
	"tapline/broker/store"
	"tapline/broker/vault"
	"tapline/proto/record"
	"tapline/proto/wire"
)

// Limits of releases.
const (
	ofSession  = 20 // for one session
	ofStation  = 10 // at one station in a minute
	lifeTime   = time.Minute
	maxRequest = 4096 // of a proof or an ID
)

// outsideWithin bounds the wait for an outside vault.
const outsideWithin = 5 * time.Second

// Release hands the secret of a session's account to its station.
func (k *Keeper) Release(ctx context.Context, station record.StationID, req *taplinev1.ReleaseSecretRequest) (*taplinev1.ReleaseSecretResponse, error) {
	resp, err := k.release(ctx, station, req)
	if err != nil {
		k.refused.Add(1)
		return nil, office.Translate(err)
	}
	k.released.Add(1)
	return resp, nil
}

// grantable is a release that may be made.
type grantable struct {
	account *taplinev1.Account
	lease   store.Lease
	current store.AccountSecret
}

func (k *Keeper) release(ctx context.Context, station record.StationID, req *taplinev1.ReleaseSecretRequest) (*taplinev1.ReleaseSecretResponse, error) {
	if len(req.GetSession()) > maxRequest || len(req.GetProof()) > maxRequest {
		return nil, wire.E(wire.Invalid, "session, proof: longer than %d", maxRequest)
	}
	var seen grantable
	err := k.Store.View(ctx, func(tx *store.Tx) (err error) {
		seen, err = k.check(tx, station, req)
		return err
	})
	if err != nil {
		return nil, err
	}
	inner, cancel := context.WithTimeout(ctx, outsideWithin)
	defer cancel()
	plain, err := k.openSecret(inner, seen.current)
	if err != nil && seen.current.Kept != "" {
		return nil, wire.E(wire.Unavailable, "the vault that keeps the secret of account %s does not give it: %w", seen.account.GetId(), err)
	}
	if err != nil {
		return nil, err
	}
	defer plain.Wipe()
	now := k.Now()
	expires := now.Add(lifeTime)
	if seen.lease.ExpiresAt.Before(expires) {
		expires = seen.lease.ExpiresAt
	}
	expires = expires.UTC().Truncate(time.Second)
	enc, sealed, err := wire.SealSecret(req.GetSessionKey(), wire.SecretInfo(string(station), req.GetSession(), seen.account.GetId(), expires), plain)
	if err != nil {
		return nil, wire.E(wire.Invalid, "session_key: %w", err)
	}
	// Only what is noted leaves: the checks again, in one update with the note.
	if err := k.update(ctx, func(tx *store.Tx) error { return k.note(tx, station, req, seen, now) }); err != nil {
		return nil, err
	}
	return &taplinev1.ReleaseSecretResponse{
		Encapsulated: enc, Ciphertext: sealed, ExpiresAt: timestamppb.New(expires), Account: seen.account.GetId(), Name: nameOf(seen.account),
	}, nil
}

func (k *Keeper) check(tx *store.Tx, station record.StationID, req *taplinev1.ReleaseSecretRequest) (g grantable, err error) {
	if err := k.checkStation(tx, station, req.GetSession(), req.GetSessionKey(), req.GetProof()); err != nil {
		return g, err
	}
	if g.lease, err = inForce(tx, station, req, k.Now()); err != nil {
		return g, err
	}
	if g.account, err = tx.Account(g.lease.Account); err != nil {
		return g, err
	}
	session, atStation, err := tx.CountReleases(g.lease.Session, station, k.Now().Add(-time.Minute))
	if err != nil {
		return g, err
	}
	if session >= ofSession || atStation >= ofStation {
		return g, wire.E(wire.Busy, "the secret was asked for too often: %d times a minute at a station, %d times for a session", ofStation, ofSession)
	}
	slot := slotOf(g.account, station)
	g.current, err = tx.AccountSecret(slot, store.SecretCurrent)
	if errors.Is(err, store.ErrNotFound) {
		return g, wire.E(wire.Precondition, "account %s has no secret here: tapctl account secret set, or account rotate", g.account.GetId())
	}
	if err != nil {
		return g, err
	}
	return g, k.settled(tx, slot)
}

// checkStation checks who asks, and that it is the station's own key that asks for key.
func (k *Keeper) checkStation(tx *store.Tx, station record.StationID, session string, key, proof []byte) error {
	s, err := tx.Station(station)
	if err != nil {
		return err
	}
	if err := identity.CheckProof(s.Join.IdentityKey, wire.SecretDigest(session, key), proof); err != nil {
		return err
	}
	if s.State != taplinev1.StationState_STATION_STATE_ENROLLED {
		return wire.E(wire.Precondition, "station %s is quarantined (%s): it gets no secrets", station, s.StateReason)
	}
	return nil
}

// inForce gives the lease of the session, if it is in force at a station that signs in.
func inForce(tx *store.Tx, station record.StationID, req *taplinev1.ReleaseSecretRequest, now time.Time) (store.Lease, error) {
	l, err := lease.Held(tx, record.SessionID(req.GetSession()), station, record.Fence(req.GetFence()))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return l, wire.E(wire.NotFound, "session has no lease at this broker: without one there is no secret")
	case errors.Is(err, lease.ErrStale):
		return l, wire.E(wire.Stale, "fence %d is not the one of the session", req.GetFence())
	case err != nil:
		return l, err
	case !l.EndedAt.IsZero() || !now.Before(l.ExpiresAt):
		return l, wire.E(wire.Precondition, "the session has ended (%s)", l.Cause)
	case l.Account == "":
		return l, wire.E(wire.Precondition, "station %s runs under no shared account", station)
	}
	s, err := tx.Station(station)
	if err == nil && s.Entry.GetMode() != taplinev1.Mode_MODE_SIGNIN {
		err = wire.E(wire.Precondition, "station %s is not in the mode signin: it needs no secret", station)
	}
	return l, err
}

// settled refuses while the secret is being changed and nobody can say which one is in force. It lasts seconds; a change that failed does not count.
func (k *Keeper) settled(tx *store.Tx, slot store.Slot) error {
	r, err := tx.OpenRotation(slot)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err == nil && r.State == store.RotationPending && (r.Said == "" || r.Said == saidSent) && k.Now().Before(r.NextAt) {
		err = wire.E(wire.Unavailable, "the secret of account %s is being changed: ask again in a few seconds", slot.Account)
	}
	return err
}

// note writes down that a secret is handed out.
func (k *Keeper) note(tx *store.Tx, station record.StationID, req *taplinev1.ReleaseSecretRequest, seen grantable, now time.Time) error {
	g, err := k.check(tx, station, req)
	if err != nil {
		return err
	}
	if g.current.Version != seen.current.Version {
		return wire.E(wire.Unavailable, "the secret of account %s was just changed: ask again", seen.account.GetId())
	}
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	err = tx.AddRelease(store.Release{
		ID: id.String(), Slot: g.current.Slot, Version: g.current.Version, Session: g.lease.Session, Station: station, Person: g.lease.Person,
		Fence: g.lease.Fence, At: now,
	})
	if err != nil {
		return err
	}
	return k.Acts.Write(tx, acts.Act{
		Method: "ReleaseSecret", Actor: string(station), Target: seen.account.GetId() + " for session " + req.GetSession(),
		Digest: record.Hash(sha256.Sum256(req.GetSessionKey())),
	})
}

// Take hands the new secret of a rotation to the station that is to set it.
func (k *Keeper) Take(ctx context.Context, station record.StationID, req *taplinev1.TakeRotationRequest) (*taplinev1.TakeRotationResponse, error) {
	if len(req.GetRotation()) > maxRequest || len(req.GetProof()) > maxRequest {
		return nil, wire.E(wire.Invalid, "rotation, proof: longer than %d", maxRequest)
	}
	var pending store.AccountSecret
	var account *taplinev1.Account
	err := k.Store.View(ctx, func(tx *store.Tx) error {
		if err := k.checkStation(tx, station, req.GetRotation(), req.GetSessionKey(), req.GetProof()); err != nil {
			return err
		}
		r, err := ownRotation(tx, station, req.GetRotation())
		if err != nil {
			return err
		}
		if r.State != store.RotationPending {
			return wire.E(wire.NotFound, "no such rotation is under way at station %s", station)
		}
		if account, err = tx.Account(r.Account); err != nil {
			return err
		}
		pending, err = tx.AccountSecret(r.Slot, store.SecretPending)
		return err
	})
	if err != nil {
		return nil, office.Translate(err)
	}
	inner, cancel := context.WithTimeout(ctx, outsideWithin)
	defer cancel()
	plain, err := k.openSecret(inner, pending)
	if errors.Is(err, errOutside) {
		return nil, wire.E(wire.Unavailable, "the vault that keeps the new secret of account %s does not give it: %w", account.GetId(), err)
	}
	if err != nil {
		return nil, err
	}
	defer plain.Wipe()
	return sealRotation(station, req, account, plain, k.Now().Add(lifeTime).UTC().Truncate(time.Second))
}

func sealRotation(station record.StationID, req *taplinev1.TakeRotationRequest, a *taplinev1.Account, plain vault.Secret, expires time.Time) (*taplinev1.TakeRotationResponse, error) {
	enc, sealed, err := wire.SealSecret(req.GetSessionKey(), wire.SecretInfo(string(station), req.GetRotation(), a.GetId(), expires), plain)
	if err != nil {
		return nil, wire.E(wire.Invalid, "session_key: %w", err)
	}
	return &taplinev1.TakeRotationResponse{
		Encapsulated: enc, Ciphertext: sealed, ExpiresAt: timestamppb.New(expires), Account: a.GetId(), Name: nameOf(a),
	}, nil
}

// ownRotation gives a rotation that is a station's own to make.
func ownRotation(tx *store.Tx, station record.StationID, id string) (store.Rotation, error) {
	r, err := tx.Rotation(id)
	if errors.Is(err, store.ErrNotFound) || err == nil && (r.Holder != station || r.Holder == "") {
		return r, wire.E(wire.NotFound, "no such rotation is under way at station %s", station)
	}
	return r, err
}
