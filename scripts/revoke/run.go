// Package revoke measures how long a revocation takes: from the administrator's command until whoever was revoked gets nothing any more.
//
// Two real brokers run in this process on one store, over real TLS on loopback. Stations enrol and keep their command streams open, people have
// sessions; then an administrator revokes a station, takes a badge back or suspends a person, at the broker that the station is connected to or at
// the other one. "scripts/bench revoke" and the tests of this package call it. It measures no network, and no agent beyond its identity.
package revoke

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tapline/broker"
)

// Limit is what the 99th percentile of every case must stay under.
const Limit = 5 * time.Second

// Options say how often. The zero value is usable.
type Options struct {
	// Tries is how often each case is tried; 100 if zero.
	Tries int
	// AtOnce is how many tries run side by side; 4 if zero.
	AtOnce int
	// Configure may change the configuration of each broker, to put both on another store; may be nil.
	Configure func(*broker.Config)
	// Progress is told how many tries are done; may be nil.
	Progress func(done int)
}

// The cases.
const (
	StationHere      = "station-here"      // the station's stream is cut, and its next call refused; revoked at its own broker
	StationElsewhere = "station-elsewhere" // the same, revoked at another broker on the store
	BadgeHere        = "badge-here"        // the next tap is refused, and the session has ended at the station
	BadgeElsewhere   = "badge-elsewhere"   // the same, taken back at another broker
	PersonHere       = "person-here"       // the same for a person who is suspended
	PersonElsewhere  = "person-elsewhere"
	// OfBundle is what follows the name of a case that goes on until the station has a bundle without the grant, for when the broker is away.
	OfBundle = "-bundle"
)

// Case is how long one case took.
type Case struct {
	Name string        `json:"case"`
	N    int           `json:"n"`
	P50  time.Duration `json:"p50_ns"`
	P99  time.Duration `json:"p99_ns"`
	Max  time.Duration `json:"max_ns"`
}

// Result is what came out.
type Result struct {
	Cases   []Case        `json:"cases"`
	Elapsed time.Duration `json:"elapsed_ns"`
}

// Law says which case took too long; nil for none.
func (r Result) Law() error {
	var slow []error
	for _, c := range r.Cases {
		if c.P99 >= Limit {
			slow = append(slow, fmt.Errorf("%s: p99 %s, want less than %s", c.Name, c.P99, Limit))
		}
	}
	return errors.Join(slow...)
}

// Run measures every case.
func Run(ctx context.Context, o Options) (r Result, err error) {
	if o.Tries == 0 {
		o.Tries = 100
	}
	if o.AtOnce == 0 {
		o.AtOnce = 4
	}
	dir, err := os.MkdirTemp("", "tapline-revoke-")
	if err != nil {
		return r, fmt.Errorf("revoke: %w", err)
	}
	defer os.RemoveAll(dir)
	began := time.Now()
	p, err := newPlant(ctx, dir, o.Configure)
	if err != nil {
		return r, fmt.Errorf("revoke: %w", err)
	}
	defer func() {
		err = errors.Join(err, p.stop())
		r.Elapsed = time.Since(began)
	}()
	for _, c := range []struct {
		name      string
		elsewhere bool
		try       func(context.Context, *plant, int, bool) (times, error)
	}{
		{StationHere, false, tryStation},
		{StationElsewhere, true, tryStation},
		{BadgeHere, false, tryBadge},
		{BadgeElsewhere, true, tryBadge},
		{PersonHere, false, tryPerson},
		{PersonElsewhere, true, tryPerson},
	} {
		all, err := repeat(ctx, o, func(ctx context.Context, i int) (times, error) { return c.try(ctx, p, i, c.elsewhere) })
		if err != nil {
			return r, fmt.Errorf("revoke: %s: %w", c.name, err)
		}
		r.add(c.name, all, func(t times) time.Duration { return t.online })
		if all[0].bundle > 0 {
			r.add(c.name+OfBundle, all, func(t times) time.Duration { return t.bundle })
		}
	}
	return r, nil
}

// times is how long one try took.
type times struct {
	online time.Duration // until refused and cut off
	bundle time.Duration // until the station has a bundle without the grant; 0 for stations
}

// add works out one case.
func (r *Result) add(name string, all []times, of func(times) time.Duration) {
	took := make([]time.Duration, 0, len(all))
	for _, t := range all {
		took = append(took, of(t))
	}
	slices.Sort(took)
	n := len(took)
	r.Cases = append(r.Cases, Case{Name: name, N: n, P50: took[(n-1)/2], P99: took[(n*99+99)/100-1], Max: took[n-1]})
}

// repeat makes the tries of one case.
func repeat(ctx context.Context, o Options, try func(context.Context, int) (times, error)) ([]times, error) {
	var mu sync.Mutex // guards took
	var took []times
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(o.AtOnce)
	for i := range o.Tries {
		g.Go(func() error {
			d, err := try(ctx, i)
			if err != nil {
				return fmt.Errorf("try %d: %w", i, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if took = append(took, d); o.Progress != nil {
				o.Progress(len(took))
			}
			return nil
		})
	}
	return took, g.Wait()
}
