package secret

import (
	"tapline/broker/store"
)

// outsideLast puts rotations of accounts with an outside vault behind the others: a vault that has just died makes no other account wait.
func outsideLast(tx *store.Tx, due []store.Rotation) ([]store.Rotation, error) {
	var here, outside []store.Rotation
	for _, r := range due {
		a, err := tx.Account(r.Account)
		if ignoreMissing(err) != nil {
			return nil, err
		}
		if a.GetVault() != "" {
			outside = append(outside, r)
		} else {
			here = append(here, r)
		}
	}
	return append(here, outside...), nil
}
