package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"tapline/broker"
	"tapline/installer/osservice"
)

// lockName is the file in the data folder that is locked while somebody works alone on the store in it.
const lockName = "broker.lock"

// errLocked says that another process has the lock.
var errLocked = errors.New("locked by another process")

// lockData takes the data folder of a broker whose store is in it, until unlock; the lock also ends with the process, however that ends. The file
// stays: whoever removed it could let two in. Brokers on PostgreSQL are many, and need no lock.
func lockData(cfg broker.Config) (unlock func() error, err error) {
	if cfg.Store != "" {
		return func() error { return nil }, nil
	}
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(cfg.Data, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	if err := lockFile(f); err != nil {
		err = errors.Join(err, f.Close())
		if errors.Is(err, errLocked) {
			return nil, osservice.Fault(osservice.Refused, fmt.Errorf("a broker, or a command that must be alone, works on the data folder %s", cfg.Data),
				"stop the broker first; each broker needs a data folder of its own, and several share a PostgreSQL store. Nothing was changed")
		}
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return f.Close, nil
}
