//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tapline/scripts/rig"
)

const (
	warmUp   = 10
	tapLimit = 10 * time.Second
)

// tap measures taps with the broker there, behind a line on which packets vanish, and stopped. Between the last two the line is whole again.
func (b *bench) tap(ctx context.Context) (err error) {
	cable, err := rig.NewCable(ctx)
	if err != nil {
		return err
	}
	p, s, crew, err := b.plantAt(ctx, cable.Address(), 8, "Reader A", "Reader B", "Reader C", "Reader D")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cable.Mend(ctx), p.Close()) }()
	t := tapper{plant: p, station: s, crew: crew}
	for _, one := range []struct {
		name, by string
		prepare  func() error
	}{
		{"online", "broker", func() error { return s.AwaitBroker(ctx, true) }},
		{"blackholed", "bundle", func() error { return cable.Cut(ctx) }},
		{"stopped", "bundle", func() error {
			return errors.Join(cable.Mend(ctx), s.AwaitBroker(ctx, true), p.Broker.Kill(), s.AwaitBroker(ctx, false))
		}},
	} {
		if err := one.prepare(); err != nil {
			return fmt.Errorf("%s: %w", one.name, err)
		}
		r, err := t.measure(ctx, b.n, one.by)
		if err != nil {
			return fmt.Errorf("%s: %w", one.name, err)
		}
		r.Bench, r.Case = "tap", one.name
		if err := b.report(r); err != nil {
			return err
		}
	}
	return nil
}

// tapper taps people in turn on the readers in turn: taking a badge away from one reader goes on while the next one is laid on another.
type tapper struct {
	plant   *rig.Plant
	station *rig.Station
	crew    []rig.Person
	lying   [4]*rig.Laid // by reader
	count   int
}

func (t *tapper) measure(ctx context.Context, n int, by string) (result, error) {
	old, err := t.station.Timings()
	if err != nil {
		return result{}, err
	}
	if err := t.taps(ctx, warmUp); err != nil {
		return result{}, err
	}
	before, err := t.station.Agent.Usage()
	if err != nil {
		return result{}, err
	}
	logged, err := t.timings(ctx, len(old)+warmUp)
	if err != nil {
		return result{}, err
	}
	begun := time.Now()
	if err := t.taps(ctx, n); err != nil {
		return result{}, err
	}
	took := time.Since(begun)
	after, err := t.station.Agent.Usage()
	if err != nil {
		return result{}, err
	}
	timings, err := t.timings(ctx, len(logged)+n)
	if err != nil {
		return result{}, err
	}
	timings = timings[len(logged):]
	for _, one := range timings {
		if one.DecidedBy != by {
			return result{}, fmt.Errorf("a tap was decided by %q, want %q", one.DecidedBy, by)
		}
	}
	totals := rig.Totals(timings)
	return result{
		First: rig.Percentile(rig.Totals(logged[len(old):len(old)+1]), 50),
		N:     len(timings), P50: rig.Percentile(totals, 50), P99: rig.Percentile(totals, 99), By: by,
		CPU: float64((after.CPU - before.CPU).Microseconds()) / float64(n), RSS: megabytes(after.RSS), Seconds: took.Seconds(),
	}, nil
}

// timings waits until the agent has logged want taps.
func (t *tapper) timings(ctx context.Context, want int) ([]rig.Timing, error) {
	ctx, cancel := context.WithTimeout(ctx, tapLimit)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		all, err := t.station.Timings()
		if err != nil || len(all) >= want {
			return all, err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("the agent logged %d taps, want %d", len(all), want)
		}
	}
}

func (t *tapper) taps(ctx context.Context, n int) error {
	for range n {
		if err := t.one(ctx); err != nil {
			return fmt.Errorf("tap %d: %w", t.count, err)
		}
		t.count++
	}
	return nil
}

func (t *tapper) one(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, tapLimit)
	defer cancel()
	slot, who := t.count%len(t.lying), t.crew[t.count%len(t.crew)]
	mark := t.station.Mark()
	if t.lying[slot], err = t.plant.Lay(ctx, slot, who.UID); err != nil {
		return err
	}
	if _, err := t.station.Await(ctx, mark, rig.Named(who.ID)); err != nil {
		return err
	}
	return t.lying[slot].Remove()
}

func megabytes(bytes int64) float64 { return float64(bytes>>10) / 1024 }
