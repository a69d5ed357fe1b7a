//go:build linux

package e2e

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"tapline/broker/store/postgrestest"
	"tapline/scripts/fleet"
	"tapline/scripts/rig"
)

// TestARollingRestartLosesNothing restarts two brokers on one PostgreSQL in turn while people tap at eight stations: every tap is decided, most
// by a broker, and every record that got a receipt is there once.
func TestARollingRestartLosesNothing(t *testing.T) {
	c, f, admin := clustered(t, 8)
	ctx := within(t, 2*time.Minute)
	var taps, alone atomic.Int64
	running, stop := context.WithCancel(ctx)
	g, inner := errgroup.WithContext(running)
	g.Go(func() error { return f.Run(inner) })
	must(t, f.Await(ctx, "a line", (*fleet.Station).Connected))
	people, done := context.WithCancel(inner)
	var tapping errgroup.Group
	for i, s := range f.Stations {
		tapping.Go(func() error {
			for k := 0; people.Err() == nil; k++ {
				o, err := s.Tap(ctx, f.People[2*i+k%2])
				if err != nil {
					return err
				}
				taps.Add(1)
				if o.By != "broker" {
					alone.Add(1)
				}
				pause(people, 50*time.Millisecond)
			}
			return nil
		})
	}
	for _, m := range c.Members {
		pause(ctx, time.Second)
		must(t, m.Stop())
		must(t, m.Begin(ctx))
		must(t, f.Await(ctx, "a line", (*fleet.Station).Connected))
	}
	done()
	must(t, tapping.Wait())
	must(t, f.Await(ctx, "all receipts", (*fleet.Station).Drained))
	stop()
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	r, err := f.Audit(ctx, admin)
	must(t, err)
	if r.Lost+r.Doubled+r.Gaps+r.Bad != 0 || r.Acked == 0 || r.Stored != r.Acked {
		t.Errorf("after a rolling restart: %+v", r)
	}
	// How many are decided alone depends on the machine: only that brokers went on deciding does not.
	if n := taps.Load(); n-alone.Load() < n/10 {
		t.Errorf("all but %d of %d taps were decided without a broker", n-alone.Load(), n)
	}
	t.Logf("%d taps, %d of them decided without a broker; %+v", taps.Load(), alone.Load(), r)
}

// clustered is two brokers on one PostgreSQL with a simulated fleet, all of which end with the test.
func clustered(t *testing.T, stations int) (*rig.Cluster, *fleet.Fleet, *fleet.Admin) {
	t.Helper()
	if programs == "" {
		t.Skip("needs: " + missing)
	}
	ctx := t.Context()
	pg, err := rig.StartPostgres(ctx, false)
	if errors.Is(err, postgrestest.ErrMissing) {
		t.Skip("needs: postgresql")
	}
	must(t, err)
	t.Cleanup(func() { must(t, pg.Stop()) })
	c, err := rig.NewCluster(ctx, t.TempDir(), programs, 2, "store: "+pg.DSN+"\n")
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	admin, err := fleet.DialAdmin(c.Identity(), c.Members[0].Address)
	must(t, err)
	t.Cleanup(func() { must(t, admin.Close()) })
	f, err := fleet.New(ctx, fleet.Config{Admin: admin, Dir: t.TempDir(), Stations: stations, People: 2 * stations})
	must(t, err)
	return c, f, admin
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pause waits, but no longer than ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
