package secret

import (
	"context"
	"errors"
	"fmt"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"github.com/google/uuid"

	"tapline/broker/store"
	"tapline/proto/record"
)

// Causes of a rotation.
const (
	causeAsked     = "asked"
	causeRelease   = "last-release"
	causeAge       = "age"
	causeEmergency = "emergency"
	causeRevoked   = "station-revoked"
)

// begin begins the rotations that are due by what has happened. It is told nothing and looks at the store, so that nothing is missed, whoever ended a
// session, at whichever broker, however it ended.
func (k *Keeper) begin(ctx context.Context) error {
	due := map[store.Slot]string{}
	err := k.Store.View(ctx, func(tx *store.Tx) error {
		all, err := tx.AccountSecretsIn(store.SecretCurrent, "")
		if err != nil {
			return err
		}
		for _, s := range all {
			cause, err := k.causeFor(tx, s)
			if err != nil {
				return err
			}
			if cause != "" {
				due[s.Slot] = cause
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	var faults []error // one slot's must not keep the others waiting
	for slot, cause := range due {
		err := k.update(ctx, func(tx *store.Tx) error {
			s, err := tx.AccountSecret(slot, store.SecretCurrent)
			if err != nil {
				return ignoreMissing(err)
			}
			if again, err := k.causeFor(tx, s); err != nil || again != cause { // it is looked at again in the update that begins it
				return err
			}
			_, err = k.want(tx, slot, cause, cause == causeRevoked)
			return err
		})
		if err != nil {
			faults = append(faults, fmt.Errorf("begin to change the secret of account %s: %w", slot.Account, err))
		}
	}
	return errors.Join(faults...)
}

func ignoreMissing(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// causeFor says why a secret must change now; empty if it must not.
func (k *Keeper) causeFor(tx *store.Tx, s store.AccountSecret) (string, error) {
	a, err := tx.Account(s.Account)
	if err != nil {
		return "", ignoreMissing(err)
	}
	if d := a.GetDriver(); d == none || d == "" {
		return "", nil
	}
	if _, err := tx.OpenRotation(s.Slot); !errors.Is(err, store.ErrNotFound) {
		return "", err
	}
	if s.Holder != "" {
		if there, err := canChange(tx, s.Holder); err != nil || !there {
			return "", err
		}
	}
	if !s.ReleasedAt.IsZero() {
		if cause, err := k.afterRelease(tx, a, s); err != nil || cause != "" {
			return cause, err
		}
	}
	if d := a.GetRotateAfter().AsDuration(); d > 0 && !k.Now().Before(s.Since.Add(d)) {
		return causeAge, nil
	}
	emergency, err := tx.EmergencySince(s.Slot, s.Since)
	if emergency {
		return causeEmergency, err
	}
	return "", err
}

// afterRelease is the cause that a secret was handed out.
func (k *Keeper) afterRelease(tx *store.Tx, a *taplinev1.Account, s store.AccountSecret) (string, error) {
	stations, err := tx.ReleasedTo(s.Slot, s.Version)
	if err != nil {
		return "", err
	}
	for _, id := range stations {
		if id == s.Holder {
			continue
		}
		station, err := tx.Station(id)
		gone := errors.Is(err, store.ErrNotFound)
		if err != nil && !gone {
			return "", err
		}
		if gone || station.State == taplinev1.StationState_STATION_STATE_REVOKED {
			return causeRevoked, nil
		}
	}
	if a.GetKeepAfterRelease() {
		return "", nil
	}
	holds, err := tx.HoldsOfAccount(s.Slot, k.Now())
	if err != nil || holds > 0 {
		return "", err
	}
	return causeRelease, nil
}

// canChange says whether a station can be asked to change its own account.
func canChange(tx *store.Tx, id record.StationID) (bool, error) {
	s, err := tx.Station(id)
	if err != nil {
		return false, ignoreMissing(err)
	}
	return s.State == taplinev1.StationState_STATION_STATE_ENROLLED, nil
}

// want begins a rotation, or hurries the one that is under way.
func (k *Keeper) want(tx *store.Tx, slot store.Slot, cause string, forced bool) (store.Rotation, error) {
	now := k.Now()
	if r, err := tx.OpenRotation(slot); !errors.Is(err, store.ErrNotFound) {
		if err != nil {
			return r, err
		}
		r.Forced = r.Forced || forced
		if r.State == store.RotationWanted || r.Said != "" { // nobody is at it
			r.NextAt = now
		}
		return r, tx.PutRotation(r)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return store.Rotation{}, err
	}
	r := store.Rotation{
		Slot: slot, ID: id.String(), Cause: cause, State: store.RotationWanted, Forced: forced, BeganAt: now.Truncate(time.Microsecond), NextAt: now,
	}
	return r, tx.AddRotation(r)
}
