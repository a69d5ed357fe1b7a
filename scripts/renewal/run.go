package renewal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Options say how long and how hard. The zero value is usable.
type Options struct {
	// Renewals is how many certificates the stations get in all; 100,000 if zero.
	Renewals int
	// RequestLoss and ReplyLoss are shares of calls, 0 to 1.
	RequestLoss, ReplyLoss float64
	// Seed decides what happens.
	Seed uint64
	// Stations is how many there are in each fleet; 100 if zero.
	Stations int
	// Fleets live side by side, each with its own brokers and store; 2 if zero.
	Fleets int
	// Quiet leaves out everything that is not renewal and loss: no sleep, no clones, no wrong clocks, no rotation.
	Quiet bool
	// Progress is told now and then how many renewals are done; may be nil.
	Progress func(done int)
}

// Result is what came of it.
type Result struct {
	Renewals     int `json:"renewals"`
	Calls        int `json:"calls"`
	RequestsLost int `json:"requests_lost"`
	RepliesLost  int `json:"replies_lost"`
	// FalseLockouts are honest stations that could not get a certificate for a day although they and the broker were up, or were quarantined.
	FalseLockouts int `json:"false_lockouts"`
	Clones        int `json:"clones"`
	ClonesCaught  int `json:"clones_caught"`
	// CaughtWithin is the longest time from the cloning until the quarantine, in virtual days.
	CaughtWithin float64 `json:"caught_within_days"`
	// Sleeps are absences from which a station came back with an expired certificate; Recovered of them without anybody's doing.
	Sleeps    int `json:"sleeps"`
	Recovered int `json:"recovered"`
	// AsleepDays is the longest of the sleeps that ended without anybody's doing, in virtual days.
	AsleepDays float64 `json:"asleep_days"`
	// Approvals are sleeps of more than 180 days, which an administrator approved.
	Approvals   int           `json:"approvals"`
	Issuers     int           `json:"issuing_cas"`
	Roots       int           `json:"roots"`
	Restarts    int           `json:"broker_restarts"`
	BrokerSteps int           `json:"broker_clock_steps"`
	WrongClocks int           `json:"wrong_station_clocks"`
	Restores    int           `json:"stores_restored"`
	Days        float64       `json:"virtual_days"`
	Elapsed     time.Duration `json:"elapsed_ns"`
}

// Law says which of the laws the result breaks; nil for none.
func (r Result) Law() error {
	var broken []error
	if r.FalseLockouts > 0 {
		broken = append(broken, fmt.Errorf("%d honest stations were locked out", r.FalseLockouts))
	}
	if r.ClonesCaught != r.Clones {
		broken = append(broken, fmt.Errorf("of %d clones %d were caught", r.Clones, r.ClonesCaught))
	}
	if r.Recovered+r.Approvals < r.Sleeps {
		broken = append(broken, fmt.Errorf("of %d sleepers %d came back by themselves and %d with approval", r.Sleeps, r.Recovered, r.Approvals))
	}
	return errors.Join(broken...)
}

func (r *Result) add(o Result) {
	r.Renewals += o.Renewals
	r.Calls += o.Calls
	r.RequestsLost += o.RequestsLost
	r.RepliesLost += o.RepliesLost
	r.FalseLockouts += o.FalseLockouts
	r.Clones += o.Clones
	r.ClonesCaught += o.ClonesCaught
	r.CaughtWithin = max(r.CaughtWithin, o.CaughtWithin)
	r.Sleeps += o.Sleeps
	r.Recovered += o.Recovered
	r.AsleepDays = max(r.AsleepDays, o.AsleepDays)
	r.Approvals += o.Approvals
	r.Issuers += o.Issuers
	r.Roots += o.Roots
	r.Restarts += o.Restarts
	r.BrokerSteps += o.BrokerSteps
	r.WrongClocks += o.WrongClocks
	r.Restores += o.Restores
	r.Days = max(r.Days, o.Days)
}

func (o Options) withDefaults() Options {
	if o.Renewals == 0 {
		o.Renewals = 100_000
	}
	if o.Stations == 0 {
		o.Stations = 100
	}
	if o.Fleets == 0 {
		o.Fleets = 2
	}
	return o
}

// Run lets the fleets live until they have had their renewals. The error is a fault of the simulation or ctx's; what broke a law is in the
// result, see Law. The first broken law's story is in the error too, so that a seed can be told with it.
func Run(ctx context.Context, o Options) (Result, error) {
	o = o.withDefaults()
	began := time.Now()
	dir, err := memory()
	if err != nil {
		return Result{}, fmt.Errorf("renewal: %w", err)
	}
	defer os.RemoveAll(dir)
	var mu sync.Mutex // guards all and done
	var all Result
	done := 0
	g, ctx := errgroup.WithContext(ctx)
	for i := range o.Fleets {
		g.Go(func() error {
			f, err := newFleet(ctx, filepath.Join(dir, fmt.Sprint(i)), o, o.Seed*1000+uint64(i))
			if err != nil {
				return fmt.Errorf("seed %d, fleet %d: %w", o.Seed, i, err)
			}
			f.progress = func(n int) {
				mu.Lock()
				defer mu.Unlock()
				if done += n; o.Progress != nil {
					o.Progress(done)
				}
			}
			err = f.live(ctx, (o.Renewals+o.Fleets-1-i)/o.Fleets)
			mu.Lock()
			defer mu.Unlock()
			all.add(f.result)
			if err != nil {
				return fmt.Errorf("seed %d, fleet %d, day %.1f: %w", o.Seed, i, f.days(), err)
			}
			return nil
		})
	}
	err = g.Wait()
	all.Elapsed = time.Since(began)
	return all, err
}

// memory is a folder that no disk slows down, where there is one.
func memory() (string, error) {
	if dir, err := os.MkdirTemp("/dev/shm", "tapline-renewal-"); err == nil {
		return dir, nil
	}
	return os.MkdirTemp("", "tapline-renewal-")
}
