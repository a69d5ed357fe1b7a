package renewal

import (
	"context"
	"time"

	"tapline/broker/identity"
)

const upkeepEvery = 12 * time.Hour

// upkeep is what goes on at the brokers.
type upkeep struct {
	step    int       // of the rotation of the root that comes next
	since   time.Time // when the step before was taken
	kept    bool      // a backup of the store is kept, to be put back
	changed bool      // something was done since that a backup must not forget
}

// tend is the brokers' housekeeping and what happens to them.
func (f *fleet) tend(ctx context.Context) error {
	f.in(f.spread(upkeepEvery), f.tend)
	if err := f.site.keepHouse(ctx); err != nil {
		return err
	}
	if f.o.Quiet || f.last {
		return nil
	}
	if err := f.rotateRoot(ctx); err != nil {
		return err
	}
	switch {
	case f.odds(15):
		f.result.Restarts++
		return f.site.restart(ctx)
	case f.odds(4):
		f.result.Issuers++
		_, err := f.site.rotate(ctx, identity.StepIssuing)
		return err
	case f.off == 0 && !f.upkeep.kept && f.odds(10):
		f.result.BrokerSteps++
		offs := []time.Duration{-400 * day, -3 * day, -2 * time.Hour, 2 * time.Hour, 3 * day, 40 * day, 400 * day}
		f.off = offs[f.chance.IntN(len(offs))]
		f.in(f.between(time.Hour, 12*time.Hour), f.setClock)
	case f.off == 0 && !f.upkeep.kept && f.nobodyDoubled() && f.odds(5):
		f.upkeep.kept, f.upkeep.changed = true, false
		f.in(f.between(day, 4*day), f.putStoreBack)
		return f.site.backup(ctx)
	}
	return nil
}

// setClock sets the brokers' clock right.
func (f *fleet) setClock(context.Context) error {
	f.off, f.right = 0, f.at
	for _, s := range f.stations {
		if !s.failing.IsZero() {
			s.failing = f.at
		}
	}
	return nil
}

// nobodyDoubled says whether there is no clone about: a store that is put back would forget what an administrator decided about it.
func (f *fleet) nobodyDoubled() bool {
	for _, s := range f.stations {
		if s.clone != nil {
			return false
		}
	}
	return true
}

// putStoreBack restores the store from the backup, unless an administrator did something since that must not be forgotten.
func (f *fleet) putStoreBack(ctx context.Context) error {
	f.upkeep.kept = false
	if f.upkeep.changed || !f.nobodyDoubled() {
		return nil
	}
	for _, s := range f.stations { // a disk from before what the store forgot fits the store
		s.putBack = nil
	}
	f.result.Restores++
	return f.site.restore(ctx)
}

// rotateRoot takes a change of the root further whenever it may: every month one begins.
func (f *fleet) rotateRoot(ctx context.Context) error {
	steps := []string{identity.StepInit, identity.StepIssue, identity.StepRetire}
	if f.upkeep.kept || f.off != 0 || f.upkeep.step == 0 && f.at.Sub(f.upkeep.since) < 30*day {
		return nil
	}
	done, err := f.site.rotate(ctx, steps[f.upkeep.step])
	if err != nil || !done {
		return err
	}
	if f.upkeep.step == 0 {
		f.result.Roots++
	}
	f.upkeep.step, f.upkeep.since = (f.upkeep.step+1)%len(steps), f.at
	return nil
}
