package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"tapline/broker/store"
)

func (e Engine) secrets(t *testing.T) {
	t.Run("a secret goes from pending to current to previous to gone", func(t *testing.T) { do(t, e.fresh(t), secretsLife) })
	t.Run("of those who claim a rotation the last alone may write", func(t *testing.T) { do(t, e.fresh(t), rotationsLife) })
	t.Run("the vault's root key is there under each master key until the others are dropped", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			var errs []error
			for _, k := range []store.VaultKey{
				{Master: "m1", Wrapped: []byte("a"), MadeAt: begin()},
				{Master: "m2", Wrapped: []byte("b"), MadeAt: begin()},
				{Master: "m2", Wrapped: []byte("c"), MadeAt: begin()},
			} {
				errs = append(errs, tx.PutVaultKey(k))
			}
			keys, err := tx.VaultKeys()
			if len(keys) != 2 || string(keys[1].Wrapped) != "c" || !keys[0].MadeAt.Equal(begin()) {
				errs = append(errs, fmt.Errorf("read back: %+v", keys))
			}
			n, err2 := tx.DropVaultKeys("m2")
			keys, err3 := tx.VaultKeys()
			if n != 1 || len(keys) != 1 || keys[0].Master != "m2" {
				errs = append(errs, fmt.Errorf("dropped %d, left %+v", n, keys))
			}
			return errors.Join(append(errs, err, err2, err3)...)
		})
	})
}

func secretsLife(tx *store.Tx) error {
	slot := store.Slot{Account: "svc"}
	add := func() (uint64, error) {
		return tx.AddAccountSecret(store.AccountSecret{Slot: slot, State: store.SecretPending, Sealed: []byte("sealed"), MadeAt: begin(), MadeBy: "olga"})
	}
	first, err := add()
	_, twice := add()
	errs := []error{err, want("a second pending one", twice, store.ErrExists), tx.PromoteAccountSecret(slot, begin(), begin())}
	errs = append(errs, tx.AddRelease(store.Release{ID: "r", Slot: slot, Version: first, Session: "s", Station: press, Person: "p", Fence: 1, At: begin()}))
	session, station, err := tx.CountReleases("s", press, begin().Add(-time.Second))
	to, err2 := tx.ReleasedTo(slot, first)
	if session != 1 || station != 1 || len(to) != 1 {
		errs = append(errs, fmt.Errorf("released %d, %d, to %v", session, station, to))
	}
	second, err3 := add()
	until := begin().Add(time.Hour)
	errs = append(errs, err, err2, err3, tx.PromoteAccountSecret(slot, begin(), until))
	current, err := tx.AccountSecret(slot, store.SecretCurrent)
	previous, err2 := tx.AccountSecret(slot, store.SecretPrevious)
	if current.Version != second || previous.Version != first || !previous.OldUntil.Equal(until) || !previous.ReleasedAt.Equal(begin()) {
		errs = append(errs, fmt.Errorf("current %+v, previous %+v", current, previous))
	}
	errs = append(errs, err, err2, tx.RetireVersion(previous), want("nothing is pending", tx.PromoteAccountSecret(slot, begin(), until), store.ErrNotFound))
	holds, err := tx.HoldsOfAccount(slot, begin())
	emergency, err2 := tx.EmergencySince(slot, begin())
	outside, err3 := tx.RetiredOutside()
	if holds != 0 || emergency || len(outside) != 0 {
		errs = append(errs, fmt.Errorf("%d leases, emergency %v, %d outside", holds, emergency, len(outside)))
	}
	errs = append(errs, err, err2, err3, tx.SpendSecretVersion(slot, second+1, "openbao", begin()))
	errs = append(errs, want("a number that is spent", tx.SpendSecretVersion(slot, second+1, "openbao", begin()), store.ErrTaken))
	third, err := add()
	outside, err2 = tx.RetiredOutside()
	if third != second+2 || len(outside) != 1 || outside[0].Version != second+1 {
		errs = append(errs, fmt.Errorf("after a spent number comes %d, outside lie %+v", third, outside))
	}
	return errors.Join(append(errs, err, err2, tx.DropAccountSecrets("svc", begin()))...)
}

func rotationsLife(tx *store.Tx) error {
	slot := store.Slot{Account: "svc", Holder: press}
	r := store.Rotation{Slot: slot, ID: "r-1", Cause: "age", State: store.RotationWanted, BeganAt: begin(), NextAt: begin()}
	errs := []error{tx.AddRotation(r), want("a second one of the slot", tx.AddRotation(r), store.ErrExists)}
	first, err := tx.ClaimRotation("r-1", begin(), begin().Add(time.Minute))
	_, early := tx.ClaimRotation("r-1", begin(), begin().Add(time.Minute))
	second, err2 := tx.ClaimRotation("r-1", begin().Add(time.Minute), begin().Add(2*time.Minute))
	errs = append(errs, err, err2, want("claimed while another has it", early, store.ErrTaken), want("a stale fence", tx.PutRotation(first), store.ErrTaken))
	second.State, second.EndedAt, second.Forced = store.RotationDone, begin(), true
	errs = append(errs, tx.PutRotation(second), want("after its end", tx.PutRotation(second), store.ErrTaken))
	due, err := tx.DueRotations(begin().Add(time.Hour))
	open, err2 := tx.OpenRotations("")
	if len(due) != 0 || len(open) != 0 || second.Fence <= first.Fence {
		errs = append(errs, fmt.Errorf("%d due, %d open, fences %d and %d", len(due), len(open), first.Fence, second.Fence))
	}
	return errors.Join(append(errs, err, err2)...)
}
