//go:build linux

package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tapline/broker/store/postgrestest"
)

// Postgres is a real PostgreSQL server of the rig's own, with a synchronous standby when it was asked for.
type Postgres struct {
	Primary *postgrestest.Server
	Standby *postgrestest.Server // nil for none
	// DSN is how a broker names the store: it finds whichever of the two takes writes.
	DSN string

	dir string
}

// StartPostgres makes and starts one. It lies in a folder of its own, because the server's user must get into it.
func StartPostgres(ctx context.Context, standby bool) (_ *Postgres, err error) {
	dir, err := os.MkdirTemp("", "tapline-pg-")
	if err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	p := &Postgres{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("start PostgreSQL: %w", err), p.Stop())
		}
	}()
	folder := func(name string) string {
		path := filepath.Join(dir, name)
		if err == nil {
			err = errors.Join(os.Chmod(dir, 0o755), os.Mkdir(path, 0o700)) //nolint:gosec // the server's user comes through here
		}
		return path
	}
	first, second := folder("a"), folder("b")
	if err != nil {
		return nil, err
	}
	if p.Primary, err = postgrestest.Launch(ctx, first); err != nil {
		return nil, err
	}
	name, err := p.Primary.Database(ctx)
	if err != nil {
		return nil, err
	}
	p.DSN = p.Primary.URL(name)
	if !standby {
		return p, nil
	}
	if p.Standby, err = p.Primary.Standby(ctx, second); err != nil {
		return nil, err
	}
	p.DSN = p.Primary.URL(name, p.Standby)
	return p, nil
}

// FailOver kills the primary, as a machine that loses its power, and promotes the standby.
func (p *Postgres) FailOver(ctx context.Context) error {
	if err := p.Primary.Kill(); err != nil {
		return fmt.Errorf("kill the primary: %w", err)
	}
	if err := p.Standby.Promote(ctx); err != nil {
		return fmt.Errorf("promote the standby: %w", err)
	}
	return nil
}

// CPU is what the primary and all its processes have used.
func (p *Postgres) CPU() (time.Duration, error) {
	file := filepath.Join(p.dir, "a", "data", "postmaster.pid")
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, fmt.Errorf("usage of PostgreSQL: %w", err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	master, err := strconv.Atoi(line)
	if err != nil {
		return 0, fmt.Errorf("usage of PostgreSQL: %s: %w", file, err)
	}
	return familyCPU(master)
}

// Stop ends it and removes its files.
func (p *Postgres) Stop() error {
	var faults []error
	for _, s := range []*postgrestest.Server{p.Primary, p.Standby} {
		if s != nil {
			faults = append(faults, s.Stop())
		}
	}
	return errors.Join(append(faults, os.RemoveAll(p.dir))...)
}
