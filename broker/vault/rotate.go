package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"tapline/broker/store"
)

// State is how far a change of the master key is.
type State struct {
	// Begun says that a new master key was made and is not in force yet: Rotate goes on.
	Begun bool
	// Old says that the former master key still opens the store: Retire ends that.
	Old bool
}

// Look says how far a change of the master key is, and whether the key opens the store. It changes nothing.
func Look(ctx context.Context, s *store.Store, p Place) (State, error) {
	master, keys, err := present(ctx, s, p)
	if err != nil {
		return State{}, err
	}
	defer master.Wipe()
	if len(keys) == 0 {
		return State{}, nil // no start since the upgrade
	}
	root, err := unwrapRoot(master, keys)
	if err != nil {
		return State{}, fmt.Errorf("%s: %w", p, err)
	}
	root.Wipe()
	next, err := p.get(nextKey)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return State{}, err
	}
	_, err = p.get(oldKey)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return State{}, err
	}
	begun := next != nil && masterName(next) != masterName(master)
	return State{Begun: begun, Old: !begun && (err == nil || len(keys) > 1)}, nil
}

func present(ctx context.Context, s *store.Store, p Place) (Secret, []store.VaultKey, error) {
	master, err := p.get(KeyFile)
	if err != nil {
		return nil, nil, err
	}
	var keys []store.VaultKey
	err = s.View(ctx, func(tx *store.Tx) (err error) {
		keys, err = tx.VaultKeys()
		return err
	})
	return master, keys, err
}

// Rotate puts a new master key in force. The store is opened by the old one as well until Retire, so that other brokers on it can be given the new
// one in peace; brokers that run notice nothing. It may be killed between any two steps, and goes on when it is called again:
//
//  1. a new key is made beside the old one ("next")
//  2. the root key is wrapped under it too, in the store
//  3. what was stored is read back, and must open
//  4. the old key is kept beside ("old")
//  5. the new one takes its place
//
// At no point is there a store that the key in place does not open.
func Rotate(ctx context.Context, s *store.Store, p Place, now time.Time) error {
	if _, err := p.get(oldKey); !errors.Is(err, fs.ErrNotExist) {
		if done, err2 := swapped(p); err2 != nil || done {
			return errors.Join(err2, errors.New("the last change of the master key is not finished: give the new key to every broker, then retire the old one"))
		}
	}
	next, err := makeNext(p)
	if err != nil {
		return fmt.Errorf("rotate the master key: %w", err)
	}
	defer next.Wipe()
	master, err := also(ctx, s, p, next, now)
	if err != nil {
		return fmt.Errorf("rotate the master key: %w", err)
	}
	defer master.Wipe()
	if err := p.add(oldKey, master); err != nil {
		return fmt.Errorf("rotate the master key: keep the old one: %w", err)
	}
	if err := p.move(nextKey, KeyFile); err != nil {
		return fmt.Errorf("rotate the master key: put the new one in place: %w", err)
	}
	if _, err := Look(ctx, s, p); err != nil {
		return fmt.Errorf("rotate the master key: after the change: %w", err)
	}
	return nil
}

// swapped says whether the old key is another than the one in place: the new one has taken its place.
func swapped(p Place) (bool, error) {
	old, err := p.get(oldKey)
	if err != nil {
		return false, err
	}
	defer old.Wipe()
	master, err := p.get(KeyFile)
	if err != nil {
		return false, err
	}
	defer master.Wipe()
	return !bytes.Equal(old, master), nil
}

func makeNext(p Place) (Secret, error) {
	next, err := p.get(nextKey)
	if !errors.Is(err, fs.ErrNotExist) {
		return next, err
	}
	fresh := newKey()
	defer fresh.Wipe()
	if err := p.add(nextKey, fresh); err != nil {
		return nil, err
	}
	return p.get(nextKey)
}

// also wraps the root key under another master key too, and reads it back. It gives the master key in place.
func also(ctx context.Context, s *store.Store, p Place, other Secret, now time.Time) (Secret, error) {
	master, err := p.get(KeyFile)
	if err != nil {
		return nil, err
	}
	var root Secret
	defer func() { root.Wipe() }()
	err = s.Update(ctx, func(tx *store.Tx) error {
		keys, err := tx.VaultKeys()
		if err != nil {
			return err
		}
		if len(keys) == 0 {
			return errors.New("the store has no vault yet: start the broker once")
		}
		if root, err = unwrapRoot(master, keys); err != nil {
			return err
		}
		return tx.PutVaultKey(wrapRoot(other, root, now))
	})
	if err != nil {
		return nil, err
	}
	return master, s.View(ctx, func(tx *store.Tx) error {
		keys, err := tx.VaultKeys()
		if err != nil {
			return err
		}
		back, err := unwrapRoot(other, keys)
		if err == nil && !bytes.Equal(back, root) {
			err = ErrSealed
		}
		back.Wipe()
		return err
	})
}

// Allow lets the master key in a file open the store beside the one in place: for a place that cannot be written from here. It makes the file if it is
// not there.
func Allow(ctx context.Context, s *store.Store, p Place, file string, now time.Time) error {
	f, name := folder{filepath.Dir(file)}, filepath.Base(file)
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		fresh := newKey()
		defer fresh.Wipe()
		if err := f.add(name, fresh); err != nil {
			return fmt.Errorf("make master key %s: %w", file, err)
		}
	}
	other, err := f.get(name)
	if err != nil {
		return err
	}
	defer other.Wipe()
	master, err := also(ctx, s, p, other, now)
	master.Wipe()
	if err != nil {
		return fmt.Errorf("allow master key %s: %w", file, err)
	}
	return nil
}

// Retire ends what the former master key opens: its wrapping goes out of the store, then the key itself. It may be killed at any point and called again.
func Retire(ctx context.Context, s *store.Store, p Place) (int64, error) {
	state, err := Look(ctx, s, p)
	if err != nil {
		return 0, err
	}
	if state.Begun {
		return 0, errors.New("a new master key was begun and is not in force: rotate goes on with it")
	}
	master, err := p.get(KeyFile)
	if err != nil {
		return 0, err
	}
	defer master.Wipe()
	var dropped int64
	err = s.Update(ctx, func(tx *store.Tx) (err error) {
		keys, err := tx.VaultKeys()
		if err != nil {
			return err
		}
		root, err := unwrapRoot(master, keys)
		if err != nil {
			return err
		}
		root.Wipe()
		dropped, err = tx.DropVaultKeys(masterName(master))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("retire the old master key: %w", err)
	}
	for _, name := range []string{nextKey, oldKey} { // next is there only if a keyring was left between its two writes
		if err := p.remove(name); err != nil {
			return dropped, fmt.Errorf("retire the old master key: %w", err)
		}
	}
	return dropped, nil
}
