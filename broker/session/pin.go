package session

import (
	"context"
	"errors"
	"time"

	"tapline/broker/store"
	"tapline/proto/record"
)

// Throttle: after this many wrong PINs in a row none is taken for a while, and for twice as long after each further one.
const (
	freeTries = 5
	lockTime  = time.Minute
	maxLock   = time.Hour
)

// pinState is what came of a PIN.
type pinState struct {
	given, good bool
	lockedUntil time.Time
}

func (p pinState) lockedFor(now time.Time) time.Duration {
	return max(0, p.lockedUntil.Sub(now))
}

// checkPIN checks the PIN of whoever holds the tap's badge.
func (d *Desk) checkPIN(ctx context.Context, t tap, pin string) (pinState, error) {
	return d.tryPIN(ctx, t.station, pin, func(tx *store.Tx) (record.PersonID, error) {
		if _, err := tx.Answer(t.session); err == nil { // answered before: the answer stands
			return "", nil
		}
		h, cause, err := d.Directory.Holder(tx, t.badge.Lookup, d.Now())
		if err != nil || cause != 0 {
			return "", err
		}
		return record.PersonID(h.Person.GetId()), nil
	})
}

// CheckPIN checks the PIN of a person who says who they are, under the same throttle as at a tap: after too many wrong ones none is taken for a while,
// which locked says.
func (d *Desk) CheckPIN(ctx context.Context, station record.StationID, person record.PersonID, pin string) (good bool, locked time.Duration, err error) {
	p, err := d.tryPIN(ctx, station, pin, func(tx *store.Tx) (record.PersonID, error) {
		_, err := tx.Person(person)
		if errors.Is(err, store.ErrNotFound) {
			return "", nil
		}
		return person, err
	})
	return p.good, p.lockedFor(d.Now()), err
}

// tryPIN checks the PIN of a person whom who finds; nobody has none. It is slow on purpose and so not part of the update that answers the tap; the try
// is counted before it is checked, so that many at once gain nothing.
func (d *Desk) tryPIN(ctx context.Context, station record.StationID, pin string, who func(*store.Tx) (record.PersonID, error)) (pinState, error) {
	now := d.Now()
	var person record.PersonID
	var verifier string
	var tries store.PINTries
	err := d.Store.Update(ctx, func(tx *store.Tx) (err error) {
		if person, err = who(tx); err != nil || person == "" {
			return err
		}
		if verifier, err = tx.PIN(person); err != nil || verifier == "" {
			return err
		}
		if tries, err = tx.PINTries(person, station); err != nil || now.Before(tries.LockedUntil) {
			return err
		}
		counted := store.PINTries{Wrong: tries.Wrong + 1}
		if over := counted.Wrong - freeTries; over >= 0 {
			counted.LockedUntil = now.Add(min(maxLock, lockTime<<min(over, 6)))
		}
		return tx.PutPINTries(person, station, counted)
	})
	if err != nil || person == "" {
		return pinState{}, err
	}
	if now.Before(tries.LockedUntil) {
		return pinState{given: true, lockedUntil: tries.LockedUntil}, nil
	}
	if verifier == "" {
		return pinState{given: true}, nil
	}
	good, err := d.PINs.Check(ctx, verifier, pin)
	if err != nil || !good {
		return pinState{given: true}, err
	}
	return pinState{given: true, good: true}, d.Store.Update(ctx, func(tx *store.Tx) error {
		return tx.PutPINTries(person, station, store.PINTries{})
	})
}
