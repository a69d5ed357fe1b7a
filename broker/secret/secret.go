// Package secret keeps the secrets of shared accounts: it hands one to a station for a session in force, and changes it when that session is over.
//
// The station service calls Release, Take and Report; the admin service calls Set, Want and Status; the broker runs Run. A secret lies sealed in the
// store, or in an outside vault, and leaves the broker only sealed to a key that a station made for one session and signed with its identity key; each
// release is noted, and recorded, before it leaves. Nobody is ever shown a secret.
//
// A change has two phases, and one row that says how far it is. The new secret is stored before anybody is asked to set it; it is in force only when the
// system has taken it to sign in; until then the old one stays current. So the change may be cut off anywhere, at this broker or on the way, and
// whoever takes it up, this broker or another, finds the same new secret and asks the system first which of the two it takes. Each who takes it
// up has a greater fence than all before, without which nothing can be written.
//
// The package decides nothing about people: whose session it is and whether it is in force is package lease's word. No secret reaches a log, an error,
// or a record.
package secret

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"go.uber.org/zap"

	"tapline/broker/acts"
	"tapline/broker/store"
	"tapline/broker/switchboard"
	"tapline/broker/vault"
	"tapline/proto/record"
)

// Drivers, as an account names them.
const (
	none   = "none"
	manual = "manual"
	ldap   = "ldap"
	local  = "local"
)

// inOpenBao is the outside vault, as an account names it.
const inOpenBao = "openbao"

// Driver changes secrets at the system where they count. Its calls may take as long as their context; what they say is believed only if it is clear.
type Driver interface {
	// Set makes new the secret of an account. An error that matches ErrRefused says that it surely was not taken; any other, that nobody knows.
	Set(ctx context.Context, account string, new vault.Secret) error
	// Verify says whether the system takes a secret to sign in.
	Verify(ctx context.Context, account string, s vault.Secret) (bool, error)
	// Window is how long the system goes on taking the old secret after a change.
	Window(ctx context.Context) (time.Duration, error)
}

// ErrRefused says that a system does not take a new secret.
var ErrRefused = errors.New("the system refused the new secret")

// Shelf is an outside vault that keeps secrets in the broker's stead.
type Shelf interface {
	// Create keeps a secret at a path. If there is one already it stays, and is given back.
	Create(ctx context.Context, path string, s vault.Secret) (vault.Secret, error)
	Get(ctx context.Context, path string) (vault.Secret, error)
	// Delete forgets what is at a path for good. Nothing there is no error.
	Delete(ctx context.Context, path string) error
}

// Config is what a keeper works with. Directory and Outside may be nil.
type Config struct {
	Store *store.Store
	Vault *vault.Vault
	Acts  *acts.Log
	Board *switchboard.Board
	// Directory is the driver "ldap".
	Directory Driver
	// Outside is the vault "openbao".
	Outside Shelf
	Now     func() time.Time
	Log     *zap.Logger
}

// Keeper keeps secrets. Its methods may be called from several goroutines; Run only once.
type Keeper struct {
	Config
	released, refused, rotated, failed atomic.Uint64
	lastStuck                          atomic.Uint64 // secrets, when the store last said
	wake                               chan struct{} // makes Run look at once
	// update is Store.Update; tests crash in it.
	update func(context.Context, func(*store.Tx) error) error
}

// New makes a keeper.
func New(c Config) *Keeper {
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	return &Keeper{Config: c, wake: make(chan struct{}, 1), update: c.Store.Update}
}

// Nudge makes Run look at once.
func (k *Keeper) Nudge() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// slotOf is where the secret of an account for a station lies.
func slotOf(a *taplinev1.Account, station record.StationID) store.Slot {
	s := store.Slot{Account: record.AccountID(a.GetId())}
	if a.GetDriver() == local {
		s.Holder = station
	}
	return s
}

// nameOf is an account's name where its secret counts.
func nameOf(a *taplinev1.Account) string {
	if a.GetName() != "" {
		return a.GetName()
	}
	return a.GetId()
}

// placeOf names a version, for the vaults.
func placeOf(s store.Slot, version uint64) string {
	holder := string(s.Holder)
	if holder == "" {
		holder = "shared"
	}
	return "account " + string(s.Account) + "/" + holder + "/" + strconv.FormatUint(version, 10)
}

// outsidePath is where an outside vault has a version.
func outsidePath(s store.Slot, version uint64) string {
	return strings.TrimPrefix(placeOf(s, version), "account ")
}

// openSecret gets a version from wherever it is kept. Call it outside of an update if it is kept outside.
func (k *Keeper) openSecret(ctx context.Context, s store.AccountSecret) (vault.Secret, error) {
	if s.Kept == "" {
		b, err := k.Vault.Open(placeOf(s.Slot, s.Version), s.Sealed)
		return b, err
	}
	if k.Outside == nil {
		return nil, fmt.Errorf("%w: secret of account %s: it is kept in %s, which the configuration does not name", errOutside, s.Account, s.Kept)
	}
	b, err := k.Outside.Get(ctx, outsidePath(s.Slot, s.Version))
	if err != nil {
		return nil, fmt.Errorf("%w: secret of account %s: %w", errOutside, s.Account, err)
	}
	return b, nil
}

// errOutside says that an outside vault is the trouble.
var errOutside = errors.New("outside vault")

// kept is a secret that lies somewhere and of which the store does not know yet.
type kept struct {
	version uint64
	sealed  []byte
	in      string // the outside vault; empty for the store
}

// spentTries bounds how many numbers in a row may be used up: each was left by somebody who stopped between the vault and the store.
const spentTries = 8

// keep seals a secret, or gives it to the outside vault, under the next number of its slot. In the vault something else may lie under that number, left by
// who was stopped before the store knew of it; nobody may have it, so the number is used up. Whoever is still about to write under it fails at the store.
func (k *Keeper) keep(ctx context.Context, a *taplinev1.Account, s store.Slot, plain vault.Secret) (kept, error) {
	for range spentTries {
		var version uint64
		err := k.Store.View(ctx, func(tx *store.Tx) (err error) {
			version, err = tx.NextSecretVersion(s)
			return err
		})
		if err != nil {
			return kept{}, err
		}
		if a.GetVault() == "" {
			return kept{version: version, sealed: k.Vault.Seal(placeOf(s, version), plain)}, nil
		}
		if k.Outside == nil {
			return kept{}, fmt.Errorf("%w: account %s wants its secret kept in %s, which the configuration does not name", errOutside, s.Account, a.GetVault())
		}
		is, err := k.Outside.Create(ctx, outsidePath(s, version), plain)
		if err != nil {
			return kept{}, fmt.Errorf("%w: account %s: %w", errOutside, s.Account, err)
		}
		same := subtle.ConstantTimeCompare(is, plain) == 1
		is.Wipe()
		if same {
			return kept{version: version, in: a.GetVault()}, nil
		}
		err = k.update(ctx, func(tx *store.Tx) error { return tx.SpendSecretVersion(s, version, a.GetVault(), k.Now()) })
		if err != nil && !errors.Is(err, store.ErrTaken) {
			return kept{}, err
		}
	}
	return kept{}, fmt.Errorf("%w: account %s: others write below it", errOutside, s.Account)
}

// CanChange says whether the broker has what an account's driver needs: the directory, for "ldap".
func (k *Keeper) CanChange(driver string) bool { return driver != ldap || k.Directory != nil }

// CanKeepIn says whether the broker has the vault that an account names.
func (k *Keeper) CanKeepIn(name string) bool {
	return name == "" || name == inOpenBao && k.Outside != nil
}
