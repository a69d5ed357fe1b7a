package store

import (
	"errors"
	"fmt"
	"time"

	"tapline/proto/record"
)

// RotationState is how far the change of a secret is.
type RotationState string

// The states of a rotation. The last two are ends.
const (
	RotationWanted    RotationState = "wanted"  // there is no new secret yet
	RotationByHand    RotationState = "by-hand" // a person must set it
	RotationPending   RotationState = "pending" // there is a new secret, and nobody knows whether it is in force
	RotationDone      RotationState = "done"
	RotationCancelled RotationState = "cancelled"
)

// ErrTaken says that somebody else works on it, or that it has ended.
var ErrTaken = fmt.Errorf("somebody else works on it: %w", ErrRevision)

// Rotation is one change of the secret of a slot. Of each slot one at most is open.
type Rotation struct {
	Slot
	ID      string
	Cause   string // a short stable word
	State   RotationState
	Forced  bool   // it does not wait until nobody holds the account
	Version uint64 // of the new secret; 0 before there is one
	Fence   uint64 // of whoever works on it
	Tries   int
	Said    string // why the last try failed; a short stable word
	BeganAt time.Time
	NextAt  time.Time // nobody works on it before
	EndedAt time.Time // zero while open
}

const rotationColumns = `id, account, holder, cause, state, forced, version, fence, tries, said, began_at, next_at, ended_at`

func (tx *Tx) rotations(query string, args ...any) ([]Rotation, error) {
	found, err := all(tx, func(r scanner) (Rotation, error) {
		var o Rotation
		var forced, version, fence, began, next, ended int64
		err := r.Scan(&o.ID, &o.Account, &o.Holder, &o.Cause, &o.State, &forced, &version, &fence, &o.Tries, &o.Said, &began, &next, &ended)
		o.Forced, o.Version, o.Fence = forced != 0, uint64(version), uint64(fence)
		o.BeganAt, o.NextAt, o.EndedAt = at(began), at(next), at(ended)
		return o, err
	}, `SELECT `+rotationColumns+` FROM rotations `+query, args...)
	if err != nil {
		return nil, fmt.Errorf("read rotations: %w", err)
	}
	return found, nil
}

// Rotation reads one rotation, open or not.
func (tx *Tx) Rotation(id string) (Rotation, error) {
	found, err := tx.rotations(`WHERE id = ?`, id)
	return onlyRotation(found, err)
}

func onlyRotation(found []Rotation, err error) (Rotation, error) {
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("rotation: %w", ErrNotFound)
	}
	if err != nil {
		return Rotation{}, err
	}
	return found[0], nil
}

// OpenRotation reads the rotation of a slot that is under way. ErrNotFound if none is.
func (tx *Tx) OpenRotation(s Slot) (Rotation, error) {
	found, err := tx.rotations(`WHERE account = ? AND holder = ? AND ended_at = 0`, string(s.Account), string(s.Holder))
	return onlyRotation(found, err)
}

// OpenRotations reads all that are under way, of one account if that is not empty.
func (tx *Tx) OpenRotations(account record.AccountID) ([]Rotation, error) {
	return tx.rotations(`WHERE ended_at = 0 AND (? = '' OR account = ?) ORDER BY account, holder`, string(account), string(account))
}

// DueRotations reads those that somebody should work on now.
func (tx *Tx) DueRotations(now time.Time) ([]Rotation, error) {
	return tx.rotations(`WHERE ended_at = 0 AND next_at <= ? ORDER BY next_at LIMIT 100`, micro(now))
}

// AddRotation begins a rotation; ErrExists if one of that slot is under way.
func (tx *Tx) AddRotation(r Rotation) error {
	if _, err := tx.OpenRotation(r.Slot); !errors.Is(err, ErrNotFound) {
		return errors.Join(err, ErrExists)
	}
	_, err := tx.exec(`INSERT INTO rotations (id, account, holder, cause, state, forced, version, began_at, next_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.ID, string(r.Account), string(r.Holder), r.Cause, string(r.State), bit(r.Forced), int64(r.Version), micro(r.BeganAt), micro(r.NextAt))
	if err != nil {
		return fmt.Errorf("begin rotation: %w", err)
	}
	return nil
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// ClaimRotation gives a rotation that is due to the caller, for as long as until: nobody else gets it before. Its fence is greater than all before.
// ErrTaken if somebody else was first.
func (tx *Tx) ClaimRotation(id string, now, until time.Time) (Rotation, error) {
	n, err := tx.exec(`UPDATE rotations SET fence = fence + 1, next_at = ? WHERE id = ? AND ended_at = 0 AND next_at <= ?`, micro(until), id, micro(now))
	if err == nil && n == 0 {
		err = ErrTaken
	}
	if err != nil {
		return Rotation{}, fmt.Errorf("claim rotation: %w", err)
	}
	return tx.Rotation(id)
}

// PutRotation writes how far a rotation is. ErrTaken if it has ended, or if somebody else has claimed it since: r.Fence is not its fence any more.
func (tx *Tx) PutRotation(r Rotation) error {
	n, err := tx.exec(`UPDATE rotations SET state = ?, forced = ?, version = ?, tries = ?, said = ?, next_at = ?, ended_at = ?
		WHERE id = ? AND fence = ? AND ended_at = 0`,
		string(r.State), bit(r.Forced), int64(r.Version), r.Tries, r.Said, micro(r.NextAt), micro(r.EndedAt), r.ID, int64(r.Fence))
	if err == nil && n == 0 {
		err = ErrTaken
	}
	if err != nil {
		return fmt.Errorf("write rotation: %w", err)
	}
	return nil
}
