package vault

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"tapline/broker/store"
)

// ErrOtherMaster says that the store's secrets are under another master key.
var ErrOtherMaster = errors.New("the store was sealed under another master key: put the right one back, or, if it was rotated, copy the new one from the broker where that was done")

// masterName tells master keys apart, and tells nothing of them.
func masterName(master Secret) string {
	return hex.EncodeToString(derive(master, "tapline master key name v1")[:8])
}

// wrapRoot wraps the root key under a master key.
func wrapRoot(master, root Secret, now time.Time) store.VaultKey {
	name := masterName(master)
	return store.VaultKey{
		Master: name, Wrapped: aead(derive(master, "tapline vault root v1")).Seal(nil, nil, root, []byte(name)), MadeAt: now,
	}
}

// unwrapRoot finds and unwraps the root key.
func unwrapRoot(master Secret, keys []store.VaultKey) (Secret, error) {
	name := masterName(master)
	for _, k := range keys {
		if k.Master != name {
			continue
		}
		root, err := aead(derive(master, "tapline vault root v1")).Open(nil, nil, k.Wrapped, []byte(name))
		if err != nil || len(root) != KeySize {
			return nil, fmt.Errorf("root key of the vault: %w", ErrSealed)
		}
		return root, nil
	}
	return nil, ErrOtherMaster
}

// Unlock opens the vault of a store with the master key that lies in a place. At the very first start it makes both keys; a master key that is
// missing later is an error, because a new one would open nothing.
func Unlock(ctx context.Context, s *store.Store, p Place, now time.Time) (*Vault, error) {
	root, err := unlock(ctx, s, p, now)
	if err != nil {
		return nil, fmt.Errorf("unlock the vault with the %s: %w", p, err)
	}
	defer root.Wipe()
	return New(root)
}

func unlock(ctx context.Context, s *store.Store, p Place, now time.Time) (root Secret, err error) {
	master, err := p.get(KeyFile)
	made := false
	if errors.Is(err, fs.ErrNotExist) {
		master, made, err = first(ctx, s, p)
	}
	if err != nil {
		return nil, err
	}
	defer master.Wipe()
	err = s.Update(ctx, func(tx *store.Tx) error {
		keys, err := tx.VaultKeys()
		if err != nil {
			return err
		}
		if len(keys) == 0 {
			root, err = begin(tx, master, now)
			return err
		}
		root, err = unwrapRoot(master, keys)
		return err
	})
	if made && errors.Is(err, ErrOtherMaster) { // a broker elsewhere began the store meanwhile: ours opens nothing, and would pass for the right one
		err = errors.Join(err, p.remove(KeyFile))
	}
	return root, err
}

// first makes the master key at the first start, or finds that another first start has just made it.
func first(ctx context.Context, s *store.Store, p Place) (master Secret, made bool, err error) {
	refused := mayBegin(ctx, s)
	fresh := newKey()
	defer fresh.Wipe()
	if refused == nil {
		if err := p.add(KeyFile, fresh); err != nil {
			return nil, false, fmt.Errorf("make master key: %w", err)
		}
	}
	master, err = p.get(KeyFile)
	if errors.Is(err, fs.ErrNotExist) && refused != nil {
		return nil, false, refused
	}
	return master, subtle.ConstantTimeCompare(master, fresh) == 1, err
}

// mayBegin refuses to make a master key for a store that has been sealed under one.
func mayBegin(ctx context.Context, s *store.Store) error {
	return s.View(ctx, func(tx *store.Tx) error {
		keys, err := tx.VaultKeys()
		if err != nil {
			return err
		}
		sealed, err := tx.HasSecrets()
		if err == nil && (sealed || len(keys) > 0) {
			err = errors.New("the master key is missing, and the store cannot be opened without it: put it back from where it was kept")
		}
		return err
	})
}

// begin makes the root key. In a store of a broker that had none, the master key takes that part too, so that all that it sealed still opens.
func begin(tx *store.Tx, master Secret, now time.Time) (Secret, error) {
	sealed, err := tx.HasSecrets()
	if err != nil {
		return nil, err
	}
	root := newKey()
	if sealed {
		root = bytes.Clone(master)
	}
	return root, tx.PutVaultKey(wrapRoot(master, root, now))
}
