package broker

import (
	"context"
	"errors"
	"fmt"

	"tapline/broker/store"
	"tapline/installer/osservice"
	"tapline/proto/wire"
)

// Postgres is the address of the database as the store wants it.
func (c Config) Postgres() store.Postgres {
	return store.Postgres{URL: c.Store, PasswordFile: c.StorePasswordFile}
}

// OpenStore opens the store that is configured. Its schema is not touched.
func (c Config) OpenStore(ctx context.Context) (*store.Store, error) {
	if c.Store == "" {
		return store.OpenSQLite(c.Data)
	}
	s, err := store.OpenPostgres(ctx, c.Postgres())
	var unfit *store.Unfit
	if errors.As(err, &unfit) {
		return nil, osservice.Fault(osservice.Config, errors.New("store: "+unfit.Fault), unfit.Hint)
	}
	return s, osservice.Fault(osservice.Unavailable, err, `does the server run, and does it let this user in? "tapbroker check" tries it too`)
}

// checkStore names what is wrong with the store's keys, without touching anything.
func (c Config) checkStore() []error {
	var faults []error
	if c.Store != "" {
		if err := c.Postgres().Fault(); err != nil {
			faults = append(faults, fmt.Errorf("store: %w", err))
		}
	}
	switch {
	case c.StorePasswordFile != "" && c.Store == "":
		faults = append(faults, errors.New("store_password_file: there is no store that needs a password"))
	case c.StorePasswordFile != "":
		if err := wire.CheckSecret(c.StorePasswordFile); err != nil {
			faults = append(faults, fmt.Errorf("store_password_file: %w", err))
		}
	}
	return faults
}
