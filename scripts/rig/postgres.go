//go:build linux

package rig

import (
	"context"
	"errors"
	"time"
)

// Postgres is a real PostgreSQL server of the rig's own.
type Postgres struct{}

// StartPostgres makes and starts one.
func StartPostgres(context.Context) (*Postgres, error) { return nil, errors.New("not yet") }

// DSN is how a broker names it.
func (p *Postgres) DSN() string { return "" }

// CPU is what the server and all its processes have used.
func (p *Postgres) CPU() (time.Duration, error) { return 0, nil }

// Stop ends it and removes its files.
func (p *Postgres) Stop() error { return nil }
