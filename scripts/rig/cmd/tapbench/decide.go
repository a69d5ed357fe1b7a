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

// decision is a case of the benchmark of decisions.
type decision struct {
	Bench    string  `json:"bench"`
	Case     string  `json:"case"`
	Stations int     `json:"stations"`
	N        int     `json:"n"`
	Late     int     `json:"late"` // not answered within the agent's deadline; they count with the time they took
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
	PerS     float64 `json:"per_s"`
	CPU      float64 `json:"cpu_us_per_op"`    // of the broker
	StoreCPU float64 `json:"db_cpu_us_per_op"` // of the database server, where there is one
	RSS      float64 `json:"rss_mb"`
}

// decide has stations ask the broker as fast as they get answers.
func (b *bench) decide(ctx context.Context) error {
	const most = 64
	for _, store := range b.stores {
		h, err := b.hall(ctx, store, 1, most, most*2)
		if err != nil {
			return fmt.Errorf("%s: %w", store, err)
		}
		err = h.running(ctx, func(ctx context.Context) error {
			for _, stations := range []int{1, 16, most} {
				r, err := h.decisions(ctx, stations, b.n)
				if err != nil {
					return err
				}
				r.Bench, r.Case = "decide", store
				if err := b.report(r); err != nil {
					return err
				}
			}
			return nil
		})
		if err := errors.Join(err, h.close()); err != nil {
			return fmt.Errorf("%s: %w", store, err)
		}
	}
	return nil
}

func (h *hall) decisions(ctx context.Context, stations, n int) (decision, error) {
	if _, _, err := h.ask(ctx, stations, max(stations, n/20)); err != nil { // warms up
		return decision{}, err
	}
	before, err := h.used()
	if err != nil {
		return decision{}, err
	}
	begun := time.Now()
	took, late, err := h.ask(ctx, stations, n)
	if err != nil {
		return decision{}, err
	}
	seconds := time.Since(begun).Seconds()
	after, err := h.used()
	if err != nil {
		return decision{}, err
	}
	return decision{
		Stations: stations, N: len(took), Late: late, P50: rig.Percentile(took, 50), P99: rig.Percentile(took, 99), PerS: float64(len(took)) / seconds,
		CPU: per(len(took), after.broker.CPU-before.broker.CPU), StoreCPU: per(len(took), after.store-before.store), RSS: megabytes(after.broker.RSS),
	}, nil
}

// ask has the first stations ask n times in all, and counts the answers that came too late. A refusal is an error.
func (h *hall) ask(ctx context.Context, stations, n int) (took []time.Duration, late int, err error) {
	var mu sync.Mutex // guards took and late
	g, ctx := errgroup.WithContext(ctx)
	for i, s := range h.fleet.Stations[:stations] {
		g.Go(func() error {
			for k := range n / stations {
				if err := s.Await(ctx, connected); err != nil { // a late answer costs the line
					return err
				}
				o, err := s.Ask(ctx, h.fleet.People[2*i+k%2])
				if err == nil && !o.Allowed {
					err = fmt.Errorf("station %s: refused: %s", s.ID, o.Refusal)
				}
				if err != nil {
					return err
				}
				mu.Lock()
				took = append(took, o.Took)
				if o.By != "broker" {
					late++
				}
				mu.Unlock()
			}
			return nil
		})
	}
	err = g.Wait()
	return took, late, err
}

func per(n int, cpu time.Duration) float64 { return float64(cpu.Microseconds()) / float64(n) }

// connected reports whether a station has its line.
func connected(s *fleet.Station) bool { return s.Connected() }
