//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tapline/scripts/fleet"
	"tapline/scripts/rig"
)

// shiftChange is what a shift change cost: the time of each tap counts from when the person came, also when another one was before them.
type shiftChange struct {
	Bench    string  `json:"bench"`
	Case     string  `json:"case"`
	Stations int     `json:"stations"`
	People   int     `json:"people"`
	N        int     `json:"n"`
	Refused  int     `json:"refused"`
	Alone    int     `json:"decided_alone"` // by the station, because the broker did not answer within the deadline
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
	Max      float64 `json:"max_ms"`
	Lost     uint64  `json:"lost"` // records that the broker acknowledged and does not have
	CPU      float64 `json:"cpu_us_per_op"`
	RSS      float64 `json:"rss_mb"`
	Seconds  float64 `json:"seconds"`
}

// perStation is how many people come to four stations: fifty.
const perStation = 12.5

// shift has people come to stations at moments spread over a window, each taking over from the one before.
func (b *bench) shift(ctx context.Context) error {
	for _, store := range b.stores {
		for _, stations := range b.halls {
			if stations < 1 {
				return fmt.Errorf("%d stations: want at least one", stations)
			}
			r, err := b.shiftAt(ctx, store, stations)
			if err != nil {
				return fmt.Errorf("%s, %d stations: %w", store, stations, err)
			}
			if err := b.report(r); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bench) shiftAt(ctx context.Context, store string, stations int) (r shiftChange, err error) {
	people := int(float64(stations) * perStation)
	h, err := b.hallOf(ctx, store, 1, fleet.Config{Stations: stations, People: people, Durable: true})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	r = shiftChange{Bench: "shift", Case: store, Stations: stations, People: people}
	err = h.running(ctx, func(ctx context.Context) error {
		fmt.Fprintf(b.say, "%s: %d people come to %d stations within %s\n", store, people, stations, b.wait)
		before, err := h.used()
		if err != nil {
			return err
		}
		c := &comings{plan: plan(b.seed, people, b.wait), fleet: h.fleet}
		begun := time.Now()
		if err := c.run(ctx, begun); err != nil {
			return err
		}
		after, err := h.used()
		if err != nil {
			return err
		}
		r.N, r.Refused, r.Alone, r.Seconds = len(c.took), c.refused, c.alone, time.Since(begun).Seconds()
		r.P50, r.P99, r.Max = rig.Percentile(c.took, 50), rig.Percentile(c.took, 99), rig.Percentile(c.took, 100)
		r.CPU, r.RSS = per(len(c.took), after.broker.CPU-before.broker.CPU), megabytes(after.broker.RSS)
		draining, cancel := context.WithTimeout(ctx, drainLimit)
		defer cancel()
		return h.fleet.Await(draining, "all receipts", (*fleet.Station).Drained)
	})
	if err != nil {
		return r, err
	}
	audit, err := h.fleet.Audit(ctx, h.admin)
	r.Lost = audit.Lost
	return r, err
}

// plan gives the moment at which each person comes, in order.
func plan(seed uint64, people int, window time.Duration) []time.Duration {
	random := rand.New(rand.NewPCG(seed, 0))
	moments := make([]time.Duration, people)
	for i := range moments {
		moments[i] = time.Duration(random.Int64N(int64(window)))
	}
	slices.Sort(moments)
	return moments
}

// comings is a shift change on its way.
type comings struct {
	plan  []time.Duration
	fleet *fleet.Fleet

	mu             sync.Mutex // guards what follows
	took           []time.Duration
	refused, alone int
}

// run sends each station its people. A person who finds another one tapping waits, and that time counts.
func (c *comings) run(ctx context.Context, begun time.Time) error {
	g, ctx := errgroup.WithContext(ctx)
	for i, s := range c.fleet.Stations {
		g.Go(func() error {
			for who := i; who < len(c.plan); who += len(c.fleet.Stations) {
				come := begun.Add(c.plan[who])
				if err := wait(ctx, time.Until(come)); err != nil {
					return err
				}
				o, err := s.Tap(ctx, c.fleet.People[who])
				if err != nil {
					return fmt.Errorf("station %s: %w", s.ID, err)
				}
				c.note(o, time.Since(come))
			}
			return nil
		})
	}
	return g.Wait()
}

func (c *comings) note(o fleet.Outcome, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.took = append(c.took, took)
	if !o.Allowed {
		c.refused++
	}
	if o.By != "broker" {
		c.alone++
	}
}
