//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tapline/scripts/fleet"
	"tapline/scripts/rig"
)

// failover is what became of a fleet's records while a broker and then the database were killed.
type failover struct {
	Bench       string  `json:"bench"`
	Case        string  `json:"case"`
	Brokers     int     `json:"brokers"`
	Stations    int     `json:"stations"`
	Taps        int     `json:"taps"`
	Alone       int     `json:"decided_alone"` // by the station, while no broker answered in time
	P99         float64 `json:"p99_ms"`        // of all taps
	Acked       uint64  `json:"acked"`
	Lost        uint64  `json:"lost"`
	Doubled     uint64  `json:"doubled"`
	Missing     uint64  `json:"missing_leaves"` // indexes of the log that no record has
	Checkpoints int     `json:"checkpoints"`    // seen, of different sizes
	Forks       int     `json:"forks"`
	BrokerGap   float64 `json:"broker_gap_ms"` // longest time without a receipt after the leader was killed
	StoreGap    float64 `json:"store_gap_ms"`  // after the primary was killed
	Longest     float64 `json:"longest_gap_ms"`
}

const (
	hallBrokers = 2
	tapEvery    = 250 * time.Millisecond
	drainLimit  = time.Minute
)

// failover kills the broker that leads and then the database's primary, under load.
func (b *bench) failover(ctx context.Context) (err error) {
	h, err := b.hall(ctx, "postgres", hallBrokers, b.stations, 2*b.stations)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	r := failover{Bench: "failover", Case: "leader, then primary", Brokers: hallBrokers, Stations: b.stations}
	watch := &logWatch{roots: map[uint64]string{}}
	err = h.running(ctx, func(ctx context.Context) error {
		g, inner := errgroup.WithContext(ctx)
		loaded, stop := context.WithCancel(inner)
		load := &load{}
		for i := range h.fleet.Stations {
			g.Go(func() error { return load.station(loaded, h.fleet, i) })
		}
		g.Go(func() error { return watch.run(loaded, h.cluster) })
		g.Go(func() error {
			defer stop()
			return h.faults(inner, b.wait, &r)
		})
		if err := g.Wait(); err != nil {
			return err
		}
		r.Taps, r.Alone, r.P99 = len(load.took), load.alone, rig.Percentile(load.took, 99)
		draining, cancel := context.WithTimeout(ctx, drainLimit)
		defer cancel()
		return h.fleet.Await(draining, "all receipts", (*fleet.Station).Drained)
	})
	if err != nil {
		return err
	}
	audit, err := h.fleet.Audit(ctx, h.admin)
	if err != nil {
		return err
	}
	r.Acked, r.Lost, r.Doubled, r.Missing = audit.Acked, audit.Lost, audit.Doubled, audit.Gaps
	if err := watch.judge(ctx, h.admin); err != nil {
		return err
	}
	r.Checkpoints, r.Forks = len(watch.roots), watch.forks
	r.Longest = max(r.BrokerGap, r.StoreGap)
	return b.report(r)
}

// faults brings them about, phase after phase.
func (h *hall) faults(ctx context.Context, phase time.Duration, r *failover) error {
	if err := wait(ctx, phase); err != nil {
		return err
	}
	leader, err := h.cluster.Leader(ctx)
	if err != nil {
		return err
	}
	gap, err := h.gap(ctx, phase, leader.Kill)
	if err != nil {
		return err
	}
	r.BrokerGap = milliseconds(gap)
	if err := leader.Begin(ctx); err != nil {
		return fmt.Errorf("start the broker again: %w", err)
	}
	if err := wait(ctx, phase/2); err != nil {
		return err
	}
	gap, err = h.gap(ctx, 2*phase, func() error { return h.store.FailOver(ctx) })
	r.StoreGap = milliseconds(gap)
	return err
}

// gap brings a fault about and gives the longest time without a receipt that came of it.
func (h *hall) gap(ctx context.Context, watched time.Duration, fault func() error) (time.Duration, error) {
	h.fleet.Gap.Start()
	if err := fault(); err != nil {
		return 0, err
	}
	err := wait(ctx, watched)
	return h.fleet.Gap.Stop(), err
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// load is what a fleet's taps came to.
type load struct {
	mu    sync.Mutex // guards what follows
	took  []time.Duration
	alone int
}

// station taps two people at a station in turn until ctx ends.
func (l *load) station(ctx context.Context, f *fleet.Fleet, i int) error {
	again := time.NewTicker(tapEvery)
	defer again.Stop()
	for k := 0; ; k++ {
		select {
		case <-ctx.Done():
			return nil
		case <-again.C:
		}
		o, err := f.Stations[i].Tap(context.WithoutCancel(ctx), f.People[2*i+k%2])
		if err != nil {
			return err
		}
		l.mu.Lock()
		l.took = append(l.took, o.Took)
		if o.By != "broker" {
			l.alone++
		}
		l.mu.Unlock()
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
