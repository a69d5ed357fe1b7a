package secret

import (
	"context"
	"errors"
	"unicode/utf8"

	taplinev1 "tapline/proto/tapline/v1"

	"github.com/google/uuid"

	"tapline/broker/store"
	"tapline/broker/vault"
	"tapline/proto/record"
	"tapline/proto/wire"
)

// maxSecret bounds a secret, in bytes.
const maxSecret = 256

// Placed is a secret that a person has set, kept and ready to be put in force.
type Placed struct {
	slot    store.Slot
	kept    kept
	account *taplinev1.Account
}

// Place checks a secret that a person has set, and keeps it. PutInForce follows, in the update that records the act. Where the system can be asked whether it
// takes the secret, it is.
func (k *Keeper) Place(ctx context.Context, req *taplinev1.SetAccountSecretRequest) (Placed, error) {
	var p Placed
	plain := vault.Secret(req.GetSecret())
	if len(plain) == 0 || len(plain) > maxSecret || !utf8.Valid(plain) {
		return p, wire.E(wire.Invalid, "secret: 1 to %d bytes of UTF-8", maxSecret)
	}
	for _, c := range plain {
		if c < ' ' || c == 0x7f {
			return p, wire.E(wire.Invalid, "secret: a control character in it; was a line end read with it?")
		}
	}
	err := k.Store.View(ctx, func(tx *store.Tx) (err error) {
		p.account, p.slot, err = k.slot(tx, req.GetAccount(), record.StationID(req.GetStation()))
		return err
	})
	if err != nil {
		return p, err
	}
	if p.account.GetDriver() == ldap && k.Directory != nil {
		good, err := k.verify(ctx, p.account, plain)
		if err != nil {
			return p, wire.E(wire.Unavailable, "the directory does not say whether it takes this secret: %w", err)
		}
		if !good {
			return p, wire.E(wire.Precondition, "the directory does not take this secret for account %s: nothing was changed", p.account.GetId())
		}
	}
	p.kept, err = k.keep(ctx, p.account, p.slot, plain)
	if errors.Is(err, errOutside) {
		err = wire.E(wire.Unavailable, "the secret could not be kept, and nothing was changed: %w", err)
	}
	return p, err
}

// slot finds the account and its slot for a station.
func (k *Keeper) slot(tx *store.Tx, account string, station record.StationID) (*taplinev1.Account, store.Slot, error) {
	a, err := tx.Account(record.AccountID(account))
	if err != nil {
		return nil, store.Slot{}, err
	}
	if a.GetDriver() != local {
		if station != "" {
			return nil, store.Slot{}, wire.E(wire.Invalid, "station: account %s has one secret for all stations", account)
		}
		return a, slotOf(a, ""), nil
	}
	if station == "" {
		return nil, store.Slot{}, wire.E(wire.Invalid, "station: each station has its own secret of account %s: name one", account)
	}
	if _, err := tx.Station(station); err != nil {
		return nil, store.Slot{}, err
	}
	return a, slotOf(a, station), nil
}

// PutInForce puts a placed secret in force. A rotation that is under way ends: a person knows better.
func (k *Keeper) PutInForce(tx *store.Tx, p Placed, by string) error {
	now := k.Now()
	cause := "set-by-hand"
	if r, err := tx.OpenRotation(p.slot); err == nil {
		r.State, r.Said, r.EndedAt = store.RotationCancelled, saidByHand, now
		if r.State == store.RotationByHand {
			r.State = store.RotationDone
		}
		if err := tx.PutRotation(r); err != nil {
			return err
		}
	} else if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err := tx.RetireAccountSecret(p.slot, store.SecretPending); err != nil {
		return err
	}
	version, err := tx.AddAccountSecret(store.AccountSecret{
		Slot: p.slot, State: store.SecretPending, Kept: p.kept.in, Sealed: p.kept.sealed, MadeAt: now, MadeBy: by,
	})
	if err != nil {
		return err
	}
	if version != p.kept.version {
		return wire.E(wire.Unavailable, "the secret was just changed: try again")
	}
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	r := store.Rotation{Slot: p.slot, ID: id.String(), Cause: cause, State: store.RotationPending, Version: version, BeganAt: now, NextAt: now}
	if err := tx.AddRotation(r); err != nil {
		return err
	}
	return k.inForce(tx, r, p.account.GetOldSecretWindow().AsDuration())
}

// Want begins the rotation of an account's secret as an administrator asks: at a station, or wherever there is one. It gives the slots.
func (k *Keeper) Want(tx *store.Tx, account string, station record.StationID, forced bool) ([]store.Slot, error) {
	a, err := tx.Account(record.AccountID(account))
	if err != nil {
		return nil, err
	}
	var slots []store.Slot
	switch d := a.GetDriver(); {
	case d == none || d == "":
		return nil, wire.E(wire.Precondition, "account %s has the driver none: the broker changes no secret of it", account)
	case d == ldap && k.Directory == nil:
		return nil, wire.E(wire.Precondition, "the broker has no directory to change secrets in: set ldap in its configuration")
	case d == local && station == "":
		if slots, err = k.everywhere(tx, a); err != nil {
			return nil, err
		}
	default:
		_, slot, err := k.slot(tx, account, station)
		if err != nil {
			return nil, err
		}
		slots = []store.Slot{slot}
	}
	for _, s := range slots {
		if _, err := k.want(tx, s, causeAsked, forced); err != nil {
			return nil, err
		}
	}
	return slots, nil
}

// everywhere are the stations that have an account of their own under that name.
func (k *Keeper) everywhere(tx *store.Tx, a *taplinev1.Account) ([]store.Slot, error) {
	stations, err := tx.Stations(store.Page{Size: 1 << 30})
	if err != nil {
		return nil, err
	}
	var slots []store.Slot
	for _, s := range stations {
		if s.Entry.GetAccount() == a.GetId() && s.State == taplinev1.StationState_STATION_STATE_ENROLLED {
			slots = append(slots, slotOf(a, s.ID()))
		}
	}
	if len(slots) == 0 {
		return nil, wire.E(wire.Precondition, "no enrolled station runs under account %s", a.GetId())
	}
	return slots, nil
}
