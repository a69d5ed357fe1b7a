package station

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"tapline/proto/record"
)

// Wish is what the station is to be.
type Wish struct {
	Mode record.Mode // as configured
	Open bool        // somebody is named, or an emergency is open
}

// State is what the station is.
type State struct {
	Wanted  record.Mode
	InForce record.Mode
	Reason  record.Reason // why they differ; empty when they do not
	Since   time.Time
}

const (
	tryWithin   = 5 * time.Second // one driver, one attempt
	lookEvery   = 5 * time.Second // whether a mode is still in force
	firstPause  = 10 * time.Second
	longPause   = 5 * time.Minute
	openRetry   = time.Second
	closeWithin = time.Second // opening everything at the end
)

// Keeper keeps the station in the mode that is wanted, or the next best. Set may be called at any time; Run does the work.
type Keeper struct {
	drivers []*kept // from the one that enforces least
	report  func(State)
	log     *zap.Logger
	wake    chan struct{}

	mu      sync.Mutex // guards the fields below
	wish    Wish
	state   State
	changed bool               // a driver said so since the last attempt
	give    context.CancelFunc // ends the attempt under way, because something else is wanted; nil for none
}

// kept is a driver and what came of it. Owned by Run.
type kept struct {
	Driver
	shut  bool // it was told to shut the station and not seen to open it since
	why   error
	pause time.Duration
	again time.Time
}

// NewKeeper makes a keeper over the drivers of gate, lock and signin, in this order. report gets each change, in order, from the goroutine of Run.
func NewKeeper(drivers []Driver, report func(State), log *zap.Logger) *Keeper {
	k := &Keeper{
		report: report, log: log, wake: make(chan struct{}, 1), wish: Wish{Mode: record.ModeAttribute, Open: true},
		state: State{Wanted: record.ModeAttribute, InForce: record.ModeAttribute, Since: time.Now()},
	}
	for _, d := range drivers {
		k.drivers = append(k.drivers, &kept{Driver: d})
	}
	return k
}

// Set says what is wanted from now on. It does not wait; an attempt at something else is given up.
func (k *Keeper) Set(w Wish) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if w == k.wish {
		return
	}
	k.wish, k.changed = w, true
	if k.give != nil {
		k.give()
	}
	k.rouse()
}

// State is what the station is now.
func (k *Keeper) State() State {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.state
}

func (k *Keeper) rouse() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// stirred is called by drivers.
func (k *Keeper) stirred() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.changed = true
	k.rouse()
}

// Run keeps the station until ctx ends, and then opens it.
func (k *Keeper) Run(ctx context.Context) error {
	group, running := errgroup.WithContext(context.WithoutCancel(ctx))
	running, stop := context.WithCancel(running)
	defer stop()
	for _, d := range k.drivers {
		group.Go(func() error { return d.Run(running, k.stirred) })
	}
	group.Go(func() error {
		defer stop()
		timer := time.NewTimer(0)
		defer timer.Stop()
		for {
			timer.Reset(k.settle(ctx))
			select {
			case <-ctx.Done():
				k.openAll(ctx)
				return nil
			case <-running.Done():
				return nil
			case <-k.wake:
			case <-timer.C:
			}
		}
	})
	return group.Wait()
}

// attempt begins one: what is wanted, and a context that ends when that changes.
func (k *Keeper) attempt(ctx context.Context) (Wish, context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.changed {
		k.changed = false
		for _, d := range k.drivers {
			d.again, d.pause = time.Time{}, 0
		}
	}
	k.give = cancel
	return k.wish, ctx, cancel
}

// settle brings the station as near to what is wanted as can be, and gives the time after which it is looked at again.
func (k *Keeper) settle(ctx context.Context) time.Duration {
	wish, ctx, cancel := k.attempt(ctx)
	defer cancel()
	top := rank(wish.Mode)
	next := lookEvery
	for i, d := range k.drivers { // what is not wanted any more goes first: nobody waits behind a lock
		if d.shut && (wish.Open || i >= top) && k.try(ctx, d, true) != nil {
			next = openRetry
		}
	}
	var why error
	for i := top - 1; i >= 0; i-- {
		d := k.drivers[i]
		if wait := time.Until(d.again); wait > 0 {
			why, next = first(why, d.why), min(next, wait)
			continue
		}
		if !wish.Open {
			k.openBelow(ctx, i) // a locker could not take the keyboard from the gate
		}
		err := k.try(ctx, d, wish.Open)
		if ctx.Err() != nil {
			return 0
		}
		if err == nil {
			k.openBelow(ctx, i)
			k.reached(wish, d.Mode(), why)
			return next
		}
		d.pause = min(max(firstPause, 2*d.pause), longPause)
		d.why, d.again = err, time.Now().Add(d.pause)
		why = first(why, err)
	}
	k.reached(wish, record.ModeAttribute, why)
	return next
}

// try has one driver open or shut the station.
func (k *Keeper) try(ctx context.Context, d *kept, open bool) error {
	ctx, cancel := context.WithTimeout(ctx, tryWithin)
	defer cancel()
	if !open {
		d.shut = true
	}
	err := d.Enforce(ctx, open)
	if err == nil && open {
		d.shut = false
	}
	return err
}

func (k *Keeper) openBelow(ctx context.Context, i int) {
	for _, d := range k.drivers[:i] {
		if d.shut {
			_ = k.try(ctx, d, true)
		}
	}
}

// openAll leaves a station that anybody can use.
func (k *Keeper) openAll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer cancel()
	for _, d := range slices.Backward(k.drivers) {
		if d.shut {
			_ = k.try(ctx, d, true)
		}
	}
}

// reached reports the mode in force, if it or the reason has changed.
func (k *Keeper) reached(wish Wish, mode record.Mode, why error) {
	s := State{Wanted: wish.Mode, InForce: mode, Since: time.Now()}
	if mode != wish.Mode {
		s.Reason = reasonOf(why)
	}
	k.mu.Lock()
	was := k.state
	same := was.Wanted == s.Wanted && was.InForce == s.InForce && was.Reason == s.Reason
	if !same {
		k.state = s
	}
	k.mu.Unlock()
	if same {
		return
	}
	k.log.Info("mode", zap.String("in_force", string(mode)), zap.String("wanted", string(wish.Mode)), zap.String("reason", string(s.Reason)), zap.Error(why))
	k.report(s)
}

func first(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// rank is how many drivers a mode may use.
func rank(m record.Mode) int {
	return max(0, slices.Index([]record.Mode{record.ModeAttribute, record.ModeGate, record.ModeLock, record.ModeSignIn}, m))
}
