package renewal

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"tapline/broker/identity"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
)

// halfYear is a plant in a bubble of time, whose stations keep themselves good by the agent's own Run.
type halfYear struct {
	t    *testing.T
	seed uint64
	site *site
	busy sync.RWMutex // held for reading over a call, for writing over a restart of the brokers
	ends time.Time
}

// guarded keeps calls from brokers that are just restarting. Each station has a network of its own, so that its losses are the seed's alone.
func (h *halfYear) guarded(n int) *weather {
	return &weather{chance: rand.New(rand.NewPCG(h.seed, uint64(n))), request: 0.1, reply: 0.1, site: h.site, busy: &h.busy}
}

func (h *halfYear) failf(format string, args ...any) {
	h.t.Errorf("seed %d, %s: %s", h.seed, time.Now().Format(time.DateTime), fmt.Sprintf(format, args...))
}

// wait lets time pass.
func wait(d time.Duration) { <-time.After(d) }

// on runs a machine's agent for a time.
func (h *halfYear) on(ctx context.Context, m *machine, d time.Duration) {
	if err := m.start(); err != nil {
		h.failf("%s: %v", m.id, err)
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	var g errgroup.Group
	g.Go(func() error { return m.identity.Run(ctx) })
	wait(min(d, 10*time.Minute))
	early := m.identity.Condition()
	wait(max(0, d-10*time.Minute))
	cancel()
	if err := g.Wait(); err != nil {
		h.failf("%s: %v", m.id, err)
	}
	if early != "" && early != "identity-cloned" {
		h.failf("%s, ten minutes after it was switched on: %s, %v", m.id, early, m.identity.Trouble())
	}
}

// life is on and off by turns, until the half year is over.
func (h *halfYear) life(ctx context.Context, m *machine, n int) {
	chance := rand.New(rand.NewPCG(h.seed, uint64(1000+n)))
	days := func(least, most int) time.Duration { return time.Duration(least+chance.IntN(most-least)) * day }
	if n == 0 { // one sleeps all the time
		h.on(ctx, m, day)
		wait(time.Until(h.ends.Add(-3 * day)))
	}
	for time.Now().Before(h.ends) {
		h.on(ctx, m, min(days(1, 20), time.Until(h.ends)))
		if chance.IntN(3) == 0 {
			wait(min(days(1, 90), max(0, time.Until(h.ends.Add(-2*day)))))
		}
	}
	if c := m.identity.Condition(); c != "" && c != "identity-cloned" {
		h.failf("%s at the end: %s, %v", m.id, c, m.identity.Trouble())
	}
}

// machine enrols a station.
func (h *halfYear) machine(ctx context.Context, dir string, n int) *machine {
	id := record.StationID(fmt.Sprintf("plant/press/line-1/hmi-%d", n))
	m := &machine{
		id: id, dir: filepath.Join(dir, fmt.Sprint("station", n)), keys: &keys{held: map[string][]byte{}}, clock: time.Now, net: h.guarded(n),
		built: time.Now().Add(-30 * day),
	}
	token, err := h.site.token(ctx, id)
	if err == nil {
		err = m.enrol(ctx, token)
	}
	if err != nil {
		h.t.Fatalf("enrol %s: %v", id, err)
	}
	return m
}

// brokers keeps house, restarts the brokers, and replaces the issuing CA.
func (h *halfYear) brokers(ctx context.Context) {
	for n := 1; time.Now().Before(h.ends); n++ {
		wait(12 * time.Hour)
		h.busy.Lock()
		err := h.site.keepHouse(ctx)
		if err == nil && n%29 == 0 {
			err = h.site.restart(ctx)
		}
		if err == nil && n%61 == 0 {
			_, err = h.site.rotate(ctx, identity.StepIssuing)
		}
		h.busy.Unlock()
		if err != nil {
			h.failf("brokers: %v", err)
			return
		}
	}
}

// The agent's and the broker's own code, with the agent's own timers, over 180 virtual days. SQLite runs inside the bubble: the driver is Go code
// that waits for nothing but files, so time stands still while it works.
func TestAFleetLivesThroughHalfAYear(t *testing.T) {
	stations, seed := 6, uint64(1)
	if suite := os.Getenv("TAPLINE_SUITE"); suite == "full" || suite == "long" {
		stations, seed = 24, 2
	}
	dir, err := memory()
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		h := &halfYear{t: t, seed: seed, ends: time.Now().Add(180 * day)}
		var err error
		if h.site, err = openSite(ctx, filepath.Join(dir, "broker"), time.Now); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		machines := make([]*machine, stations)
		for n := range stations {
			machines[n] = h.machine(ctx, dir, n)
		}
		for n, m := range machines[1:] {
			all.Go(func() { h.life(ctx, m, n) })
		}
		all.Go(func() { h.brokers(ctx) })
		h.cloned(ctx, machines[0])
		all.Wait()
		for _, m := range machines[1:] {
			if state, err := h.site.state(ctx, m.id); err != nil || state != taplinev1.StationState_STATION_STATE_ENROLLED {
				h.failf("%s is %s, %v", m.id, state, err)
			}
		}
		if err := h.site.store.Close(); err != nil {
			t.Error(err)
		}
	})
}

// cloned is the story of a station of which a copy is made: both are on, and within days it is known.
func (h *halfYear) cloned(ctx context.Context, m *machine) {
	h.on(ctx, m, 20*day)
	twin, err := m.cloned(1)
	if err != nil {
		h.t.Fatal(err)
	}
	twin.net = h.guarded(77)
	var both sync.WaitGroup
	both.Go(func() { h.on(ctx, m, 8*day) })
	both.Go(func() { h.on(ctx, twin, 8*day) })
	both.Wait()
	h.busy.RLock()
	defer h.busy.RUnlock()
	state, err := h.site.state(ctx, m.id)
	if err != nil || state != taplinev1.StationState_STATION_STATE_QUARANTINED {
		h.failf("eight days after it was cloned %s is %s, %v", m.id, state, err)
	}
}
