package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tapline/broker"
	"tapline/broker/store"
	"tapline/broker/tlog"
	"tapline/broker/vault"
	"tapline/installer/osservice"
)

// storeWithin bounds the look at the store.
const storeWithin = 15 * time.Second

// checkData looks at the data folder; one that is not there yet is made at the first start, if it can be.
func checkData(cfg broker.Config) []error {
	info, err := os.Stat(cfg.Data)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return tryData(cfg.Data)
	case err != nil:
		return []error{fmt.Errorf("data %s: %w", cfg.Data, err)}
	case !info.IsDir():
		return []error{fmt.Errorf("data %s is not a folder", cfg.Data)}
	case info.Mode().Perm()&0o022 != 0:
		return []error{fmt.Errorf("data %s can be written by others (%s): chmod 700 it", cfg.Data, info.Mode().Perm())}
	}
	return nil
}

// tryData makes a folder where the data folder would begin, and takes it away again: rights alone do not tell of a disk that is read-only.
func tryData(data string) []error {
	above := filepath.Dir(filepath.Clean(data))
	for {
		info, err := os.Stat(above)
		if err == nil && !info.IsDir() {
			return []error{fmt.Errorf("data %s cannot be made: %s is not a folder", data, above)}
		}
		if next := filepath.Dir(above); errors.Is(err, os.ErrNotExist) && next != above {
			above = next
			continue
		}
		if err != nil {
			return []error{fmt.Errorf("data %s cannot be made: %w", data, err)}
		}
		break
	}
	tried, err := os.MkdirTemp(above, ".tapbroker-check-*")
	if err == nil {
		err = os.Remove(tried)
	}
	if err != nil {
		return []error{fmt.Errorf("data %s cannot be made in %s: %w; name another folder, or make it for the broker's user", data, above, errors.Unwrap(err))}
	}
	return nil
}

// checkStore opens the store and reads how far its schema is. A server that does not keep what it acknowledges is a fault.
func checkStore(ctx context.Context, cfg broker.Config) (notes []string, faults []error) {
	if !hasStore(cfg) {
		return nil, nil // the first start makes it
	}
	ctx, cancel := context.WithTimeout(ctx, storeWithin)
	defer cancel()
	s, err := cfg.OpenStore(ctx)
	if err != nil {
		return nil, []error{err}
	}
	schema, err := s.Schema(ctx)
	if err == nil && schema.Current() {
		err = errors.Join(checkVault(ctx, s, cfg), tlog.Check(ctx, s, cfg.Data))
	}
	notes = append(s.Conditions(ctx), fmt.Sprintf("store %s has schema %d, this version wants %d", s.Where(), schema.Have, schema.Want))
	if err = errors.Join(err, s.Close()); err != nil {
		return nil, []error{err}
	}
	return notes, nil
}

// openStore opens the store of a broker that has started before.
func openStore(ctx context.Context, cfg broker.Config) (*store.Store, error) {
	if !hasStore(cfg) {
		return nil, osservice.Fault(osservice.Config, fmt.Errorf("there is no store in %s", cfg.Data), "the first start of the broker makes one")
	}
	return cfg.OpenStore(ctx)
}

// hasStore is false when a file is to be made yet.
func hasStore(cfg broker.Config) bool {
	if cfg.Store != "" {
		return true
	}
	_, err := os.Stat(filepath.Join(cfg.Data, store.FileName))
	return !errors.Is(err, os.ErrNotExist)
}

// checkVault looks whether the master key opens the store, and whether a change of it was left half done.
func checkVault(ctx context.Context, s *store.Store, cfg broker.Config) error {
	p, err := vault.FindPlace(cfg.MasterKey, cfg.Data, cfg.Site)
	if err != nil {
		return err
	}
	state, err := vault.Look(ctx, s, p)
	switch {
	case err != nil:
		return fmt.Errorf("vault: %w", err)
	case state.Begun:
		return errors.New("master key: a change was begun and not finished: \"tapbroker key rotate\" goes on with it")
	case state.Old:
		return errors.New("master key: the former one still opens the store: give the new one to every broker, then \"tapbroker key retire\"")
	}
	return nil
}
