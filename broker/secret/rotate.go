package secret

import (
	"context"
	"errors"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"go.uber.org/zap"

	"tapline/broker/alarm"
	"tapline/broker/store"
	"tapline/broker/vault"
	"tapline/proto/record"
)

// Times of a rotation.
const (
	lookEvery   = 5 * time.Second  // between looks for what is due
	claimFor    = 2 * time.Minute  // whoever works on one has it this long
	callWithin  = 30 * time.Second // one call of a driver; three fit into a claim
	heldWait    = 10 * time.Second // until it is looked again whether the account is free
	resendAfter = 30 * time.Second // until a station that did not report is asked again
	firstRetry  = 15 * time.Second
	longestWait = time.Hour
	stuckAfter  = 5 // tries
)

// Words for why a rotation is where it is.
const (
	saidHeld    = "held"        // somebody holds the account
	saidSent    = "sent"        // the station was asked to
	saidRefused = "refused"     // the system does not take the new secret
	saidUnknown = "no-answer"   // nobody knows whether it took it
	saidNeither = "neither"     // it takes neither of the two
	saidNoWay   = "no-driver"   // the broker has nothing to change it with
	saidVault   = "vault-away"  // the outside vault does not answer
	saidPerson  = "by-hand"     // a person must set it
	saidMissing = "no-such"     // the account or its driver is gone
	saidRevoked = "no-station"  // the station that had it was revoked or deleted
	saidByHand  = "set-by-hand" // a person has set another one meanwhile
)

// errLater ends a turn without a failure: somebody else has the rotation, or it waits.
var errLater = errors.New("not now")

// Run looks for what is due, begins it, and works on it, until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if err := k.Look(ctx); err != nil && ctx.Err() == nil {
			k.Log.Error("secrets of shared accounts could not be looked after", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-k.wake:
		case <-tick.C:
		}
	}
}

// Look takes one turn: what is due is begun, what is under way is taken a step further, what is old is retired.
func (k *Keeper) Look(ctx context.Context) error {
	faults := []error{k.begin(ctx)}
	var due []store.Rotation
	err := k.Store.View(ctx, func(tx *store.Tx) (err error) {
		if due, err = tx.DueRotations(k.Now()); err == nil {
			due, err = outsideLast(tx, due)
		}
		return err
	})
	faults = append(faults, err)
	for _, r := range due {
		if r.Holder != "" && !k.Board.Connected(r.Holder) && r.State != store.RotationByHand {
			continue // the broker that has the station on the line works on it
		}
		if err := k.turn(ctx, r.ID); err != nil && !errors.Is(err, errLater) {
			faults = append(faults, err)
		}
	}
	return errors.Join(append(faults, k.retire(ctx))...)
}

// turn claims a rotation and takes it as far as it goes.
func (k *Keeper) turn(ctx context.Context, id string) error {
	var r store.Rotation
	var a *taplinev1.Account
	err := k.update(ctx, func(tx *store.Tx) (err error) {
		now := k.Now()
		if r, err = tx.ClaimRotation(id, now, now.Add(claimFor)); errors.Is(err, store.ErrTaken) {
			return errLater
		}
		if err != nil {
			return err
		}
		a, err = tx.Account(r.Account)
		if errors.Is(err, store.ErrNotFound) {
			err = k.cancel(tx, r, saidMissing)
			a = nil
		}
		return err
	})
	if err != nil || a == nil {
		return err
	}
	switch a.GetDriver() {
	case manual:
		return k.byHand(ctx, r, a)
	case ldap:
		if k.Directory == nil {
			return k.fail(ctx, r, saidNoWay)
		}
		return k.change(ctx, r, a)
	case local:
		return k.send(ctx, r, a)
	}
	return k.update(ctx, func(tx *store.Tx) error { return k.cancel(tx, r, saidNoWay) })
}

func (k *Keeper) cancel(tx *store.Tx, r store.Rotation, said string) error {
	if err := tx.RetireAccountSecret(r.Slot, store.SecretPending); err != nil {
		return err
	}
	r.State, r.Said, r.EndedAt = store.RotationCancelled, said, k.Now()
	return tx.PutRotation(r)
}

// byHand asks a person, once a day.
func (k *Keeper) byHand(ctx context.Context, r store.Rotation, a *taplinev1.Account) error {
	return k.update(ctx, func(tx *store.Tx) error {
		r.State, r.Said, r.NextAt = store.RotationByHand, saidPerson, k.Now().Add(24*time.Hour)
		if err := tx.PutRotation(r); err != nil {
			return err
		}
		return alarm.Raise(tx, alarm.SetSecret, r.Holder, k.Now(), "account %s needs a new secret (%s)", a.GetId(), r.Cause)
	})
}

// fail notes a try that did not succeed, and when the next one is.
func (k *Keeper) fail(ctx context.Context, r store.Rotation, said string) error {
	k.failed.Add(1)
	k.Log.Warn("a secret was not changed", zap.String("account", string(r.Account)), zap.String("station", string(r.Holder)),
		zap.String("reason", said), zap.Int("tries", r.Tries+1))
	return k.update(ctx, func(tx *store.Tx) error { return k.noteFailure(tx, r, said) })
}

func (k *Keeper) noteFailure(tx *store.Tx, r store.Rotation, said string) error {
	r.Tries, r.Said = r.Tries+1, said
	r.NextAt = k.Now().Add(min(longestWait, firstRetry<<min(r.Tries-1, 12)))
	if err := tx.PutRotation(r); err != nil {
		return err
	}
	if r.Tries < stuckAfter && said != saidNeither {
		return nil
	}
	return alarm.Raise(tx, alarm.RotationStuck, r.Holder, k.Now(), "account %s: its secret could not be changed in %d tries (%s)", r.Account, r.Tries, said)
}

// prepared gives the new secret of a rotation, making and storing it first if there is none. Only when it is stored may anybody be asked to set it.
func (k *Keeper) prepared(ctx context.Context, r store.Rotation, a *taplinev1.Account) (store.Rotation, vault.Secret, error) {
	if r.State == store.RotationPending {
		s, err := k.stored(ctx, r.Slot, store.SecretPending)
		if errors.Is(err, errOutside) {
			err = k.vaultAway(ctx, r, err)
		}
		return r, s, err
	}
	if err := k.free(ctx, r); err != nil {
		return r, nil, err
	}
	plain := generate(int(a.GetSecretLength()))
	lies, err := k.keep(ctx, a, r.Slot, plain)
	if errors.Is(err, errOutside) {
		err = k.vaultAway(ctx, r, err)
	}
	if err != nil {
		return r, nil, err
	}
	held := false
	err = k.update(ctx, func(tx *store.Tx) error {
		if held, err = k.held(tx, r); err != nil || held {
			return err
		}
		made, err := tx.AddAccountSecret(store.AccountSecret{
			Slot: r.Slot, State: store.SecretPending, Kept: lies.in, Sealed: lies.sealed, MadeAt: k.Now(), MadeBy: "broker",
		})
		if err != nil {
			return err
		}
		if made != lies.version {
			return store.ErrTaken
		}
		r.State, r.Version, r.Said = store.RotationPending, lies.version, ""
		return tx.PutRotation(r)
	})
	if err == nil && held {
		err = errLater
	}
	return r, plain, err
}

// vaultAway puts a rotation off until the outside vault is back. It is no try: nothing was asked of the system, and the vault has an alarm of its own.
func (k *Keeper) vaultAway(ctx context.Context, r store.Rotation, why error) error {
	if r.Said != saidVault {
		k.Log.Warn("a secret waits for the outside vault", zap.String("account", string(r.Account)), zap.Error(why))
	}
	err := k.update(ctx, func(tx *store.Tx) error {
		r.Said, r.NextAt = saidVault, k.Now().Add(firstRetry)
		return tx.PutRotation(r)
	})
	if err != nil { // not with errLater, which nobody is told of
		return err
	}
	return errLater
}

// held says whether a rotation waits for somebody who holds the account, and writes down when to look again.
func (k *Keeper) held(tx *store.Tx, r store.Rotation) (bool, error) {
	if r.Forced {
		return false, nil
	}
	n, err := tx.HoldsOfAccount(r.Slot, k.Now())
	if err != nil || n == 0 {
		return false, err
	}
	r.Said, r.NextAt = saidHeld, k.Now().Add(heldWait)
	return true, tx.PutRotation(r)
}

// free is held in an update of its own: errLater if somebody holds the account.
func (k *Keeper) free(ctx context.Context, r store.Rotation) error {
	held := false
	err := k.update(ctx, func(tx *store.Tx) (err error) {
		held, err = k.held(tx, r)
		return err
	})
	if err == nil && held {
		err = errLater
	}
	return err
}

func (k *Keeper) stored(ctx context.Context, slot store.Slot, state store.SecretState) (vault.Secret, error) {
	var s store.AccountSecret
	err := k.Store.View(ctx, func(tx *store.Tx) (err error) {
		s, err = tx.AccountSecret(slot, state)
		return err
	})
	if err != nil {
		return nil, err
	}
	return k.openSecret(ctx, s)
}

// change takes a rotation through a driver: set, verify, promote. A try that is not the first asks which secret is in force before it does anything.
func (k *Keeper) change(ctx context.Context, r store.Rotation, a *taplinev1.Account) error {
	again := r.State == store.RotationPending
	r, fresh, err := k.prepared(ctx, r, a)
	if err != nil {
		return err
	}
	defer fresh.Wipe()
	if again {
		switch good, err := k.verify(ctx, a, fresh); {
		case err != nil:
			return k.fail(ctx, r, saidUnknown)
		case good:
			return k.promote(ctx, r, a)
		}
	}
	inner, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	setErr := k.Directory.Set(inner, nameOf(a), fresh)
	if setErr != nil {
		k.Log.Warn("a driver did not set a secret", zap.String("account", a.GetId()), zap.Error(setErr))
	}
	if errors.Is(setErr, ErrRefused) {
		return k.fail(ctx, r, saidRefused)
	}
	// Also after an error: a reply that was lost says nothing.
	good, err := k.verify(ctx, a, fresh)
	switch {
	case err == nil && good:
		return k.promote(ctx, r, a)
	case err != nil || setErr != nil && k.oldWorks(ctx, r, a):
		return k.fail(ctx, r, saidUnknown)
	}
	return k.fail(ctx, r, saidNeither)
}

func (k *Keeper) verify(ctx context.Context, a *taplinev1.Account, s vault.Secret) (bool, error) {
	inner, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	return k.Directory.Verify(inner, nameOf(a), s)
}

// oldWorks says whether the secret that is current still opens the account; if nobody knows, it is taken to.
func (k *Keeper) oldWorks(ctx context.Context, r store.Rotation, a *taplinev1.Account) bool {
	old, err := k.stored(ctx, r.Slot, store.SecretCurrent)
	if errors.Is(err, store.ErrNotFound) {
		return false
	}
	if err != nil {
		return true
	}
	defer old.Wipe()
	good, err := k.verify(ctx, a, old)
	return err != nil || good
}

// promote puts the new secret in force, for every driver.
func (k *Keeper) promote(ctx context.Context, r store.Rotation, a *taplinev1.Account) error {
	window := a.GetOldSecretWindow().AsDuration()
	if a.GetOldSecretWindow() == nil && a.GetDriver() == ldap {
		inner, cancel := context.WithTimeout(ctx, callWithin)
		defer cancel()
		var err error
		if window, err = k.Directory.Window(inner); err != nil { // it is in force; how long the old one lives is the lesser matter
			k.Log.Warn("the window of the old secret is not known", zap.String("account", a.GetId()), zap.Error(err))
		}
	}
	err := k.update(ctx, func(tx *store.Tx) error { return k.inForce(tx, r, window) })
	if err == nil {
		k.rotated.Add(1)
		k.Log.Info("the secret of a shared account was changed", zap.String("account", a.GetId()), zap.String("station", string(r.Holder)),
			zap.String("cause", r.Cause), zap.Uint64("version", r.Version))
	}
	return err
}

// inForce is what the end of a rotation writes, and its record.
func (k *Keeper) inForce(tx *store.Tx, r store.Rotation, window time.Duration) error {
	now := k.Now()
	current, err := tx.AccountSecret(r.Slot, store.SecretCurrent)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	was := record.Secret{Version: r.Version, Cause: r.Cause}
	until := time.Time{}
	if current.Version != 0 && window > 0 {
		until = now.Add(window).UTC().Truncate(time.Microsecond)
		was.OldUntil = &until
	}
	r.State, r.Said, r.EndedAt = store.RotationDone, "", now
	if err := tx.PutRotation(r); err != nil { // the fence comes first: a stale one touches nothing
		return err
	}
	if err := tx.PromoteAccountSecret(r.Slot, now, until); err != nil {
		return err
	}
	return k.Acts.Rotated(tx, r.Account, was)
}

// retire forgets previous secrets that open nothing any more, here and in the outside vault.
func (k *Keeper) retire(ctx context.Context) error {
	var old, outside []store.AccountSecret
	err := k.Store.View(ctx, func(tx *store.Tx) (err error) {
		if old, err = tx.AccountSecretsIn(store.SecretPrevious, ""); err != nil {
			return err
		}
		outside, err = tx.RetiredOutside()
		return err
	})
	if err != nil {
		return err
	}
	for _, s := range old {
		if k.Now().Before(s.OldUntil) {
			continue
		}
		if err := k.update(ctx, func(tx *store.Tx) error { return tx.RetireVersion(s) }); err != nil {
			return err
		}
	}
	for _, s := range outside {
		if k.Outside == nil {
			break
		}
		if err := k.Outside.Delete(ctx, outsidePath(s.Slot, s.Version)); err != nil { // it comes at the next turn; the vault has an alarm of its own
			k.Log.Debug("an old secret could not be deleted", zap.String("account", string(s.Account)), zap.Error(err))
			break
		}
		if err := k.update(ctx, func(tx *store.Tx) error { return tx.ForgetOutside(s) }); err != nil {
			return err
		}
	}
	return nil
}
