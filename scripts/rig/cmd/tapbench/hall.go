//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"tapline/scripts/fleet"
	"tapline/scripts/rig"
)

// hall is brokers on a store with a simulated fleet before them.
type hall struct {
	cluster *rig.Cluster
	admin   *fleet.Admin
	fleet   *fleet.Fleet
	store   *rig.Postgres // nil on SQLite
}

// enrolLimit is how long a fleet may take to enrol and to get its lines.
const enrolLimit = 2 * time.Minute

// hall starts brokers on a store ("sqlite" or "postgres") and enrols a fleet.
func (b *bench) hall(ctx context.Context, store string, brokers, stations, people int) (*hall, error) {
	return b.hallOf(ctx, store, brokers, fleet.Config{Stations: stations, People: people})
}

// hallOf is hall with a fleet of more particular kind.
func (b *bench) hallOf(ctx context.Context, store string, brokers int, kind fleet.Config) (_ *hall, err error) {
	dir := filepath.Join(b.dir, fmt.Sprintf("%s-%d", store, time.Now().UnixNano()))
	h := &hall{}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	settings := ""
	switch store {
	case "sqlite":
	case "postgres":
		if h.store, err = rig.StartPostgres(ctx, brokers > 1); err != nil {
			return nil, err
		}
		settings = "store: " + h.store.DSN + "\n"
	default:
		return nil, fmt.Errorf("store %q: want sqlite or postgres", store)
	}
	if h.cluster, err = rig.NewCluster(ctx, dir, b.bin, brokers, settings); err != nil {
		return nil, err
	}
	if h.admin, err = fleet.DialAdmin(h.cluster.Identity(), h.cluster.Members[0].Address); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, enrolLimit)
	defer cancel()
	kind.Admin, kind.Dir = h.admin, filepath.Join(dir, "stations")
	h.fleet, err = fleet.New(ctx, kind)
	return h, err
}

// running keeps the lines of the fleet while do runs.
func (h *hall) running(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var g errgroup.Group
	g.Go(func() error { return h.fleet.Run(ctx) })
	waiting, late := context.WithTimeout(ctx, enrolLimit)
	err := h.fleet.Await(waiting, "a line", connected)
	late()
	if err == nil {
		err = do(ctx)
	}
	cancel()
	if ended := g.Wait(); !errors.Is(ended, context.Canceled) {
		err = errors.Join(err, ended)
	}
	return err
}

// usage is what the first broker and the database have used.
type usage struct {
	broker rig.Usage
	store  time.Duration
}

func (h *hall) used() (u usage, err error) {
	if u.broker, err = h.cluster.Members[0].Usage(); err != nil || h.store == nil {
		return u, err
	}
	u.store, err = h.store.CPU()
	return u, err
}

func (h *hall) close() error {
	var faults []error
	if h.fleet != nil {
		faults = append(faults, h.fleet.Close())
	}
	if h.admin != nil {
		faults = append(faults, h.admin.Close())
	}
	if h.cluster != nil {
		faults = append(faults, h.cluster.Close())
	}
	if h.store != nil {
		faults = append(faults, h.store.Stop())
	}
	return errors.Join(faults...)
}
