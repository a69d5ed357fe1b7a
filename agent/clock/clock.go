// Package clock says when something happened at a station, and how far that can be believed.
//
// A station's wall clock is often wrong: set by hand, stepped by a time service, reset by an empty battery. So a record holds the wall
// clock beside a second one that nobody can set, the time since boot, and the last time that the broker told, tied to that second clock.
// Keeper holds the three together: it stamps records, notices when the wall clock was moved against the time since boot, and gives
// the time to judge expiries by, which never lies before what the broker told.
//
// WhenSet tells that somebody set the wall clock, where the operating system says so.
//
// The journal stamps with it and the uplink anchors it. It never sets the machine's clock and asks no time server.
package clock

import (
	"sync"
	"time"

	"tapline/proto/record"
)

// Reading is what the machine's clocks say at one moment.
type Reading struct {
	Wall time.Time
	// Boot names the run of the operating system that Monotonic counts from.
	Boot string
	// Monotonic is the time since boot, sleep included.
	Monotonic time.Duration
}

// Source reads the machine's clocks. OS is the real one.
type Source func() Reading

// Of is a source over now, as if the machine had booted when Of was called. It serves tests, whose time may be a bubble's.
func Of(now func() time.Time, boot string) Source {
	start := now()
	return func() Reading {
		t := now()
		return Reading{Wall: t, Boot: boot, Monotonic: t.Sub(start)}
	}
}

const (
	// stepTolerance is how far the wall clock may move against the time since boot between two readings: more than a time service
	// slews in the hour between two heartbeats at most.
	stepTolerance = 2 * time.Second
	// agreeTolerance is how far the wall clock may be from the broker's.
	agreeTolerance = 2 * time.Second
	// anchorError covers the way of the broker's time to us: less than any deadline on the line.
	anchorError = time.Second
	// driftPPM is how far a cheap crystal may run off, in millionths.
	driftPPM = 200
)

// Keeper keeps a station's time. Its methods may be called from any goroutine.
type Keeper struct {
	source Source

	mu     sync.Mutex // guards the fields below
	anchor *record.Anchor
	last   Reading // of the last stamp; zero before the first
	floor  Floor   // of earlier boots; zero when there is none
}

// New keeps time by source.
func New(source Source) *Keeper { return &Keeper{source: source} }

// Resume goes on after the last record of an earlier run, so that a step while the agent was down is noticed and broker time is not forgotten.
func (k *Keeper) Resume(last record.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last = Reading{Wall: last.Wall, Boot: last.Boot, Monotonic: time.Duration(last.Monotonic)}
	if last.Anchor != nil {
		anchor := *last.Anchor
		k.anchor = &anchor
		k.raise(Floor{Least: k.least(k.last), Boot: last.Boot, Monotonic: k.last.Monotonic})
	}
}

// Anchor takes in the broker's time, heard just now.
func (k *Keeper) Anchor(broker time.Time) {
	r := k.source()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.anchor = &record.Anchor{Broker: broker.Round(0).UTC(), Boot: r.Boot, Monotonic: int64(r.Monotonic)}
	k.floor = Floor{} // the broker knows better
}

// Stamp is the time for a record that is made now. Its state is ClockWasStepped once after each step: the next stamp starts afresh.
func (k *Keeper) Stamp() record.Time {
	r := k.source()
	k.mu.Lock()
	defer k.mu.Unlock()
	state, off := k.judge(r)
	if k.stepped(r) {
		state = record.ClockWasStepped
	}
	k.last = r
	t := record.Time{
		Wall: r.Wall.Round(0).UTC(), Boot: r.Boot, Monotonic: int64(r.Monotonic),
		State: state, Error: off.Milliseconds(),
	}
	if k.anchor != nil {
		anchor := *k.anchor
		t.Anchor = &anchor
	}
	return t
}

// Step is how far the wall clock was moved against the time since boot since the last stamp; 0 for what a time service slews. The next stamp tells of it.
func (k *Keeper) Step() time.Duration {
	r := k.source()
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.stepped(r) {
		return 0
	}
	return k.moved(r)
}

// Reading is what the clocks say, as they are.
func (k *Keeper) Reading() Reading { return k.source() }

// Wall is the wall clock, as it is.
func (k *Keeper) Wall() time.Time { return k.source().Wall.Round(0).UTC() }

// State is how the wall clock stands to the broker's now, and the half-width of the interval that holds the true time, 0 when unknown.
func (k *Keeper) State() (record.ClockState, time.Duration) {
	r := k.source()
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.judge(r)
}

// Trusted is the time to judge expiries by: the wall clock, but never before what the broker told and the time that has passed since, over restarts of the
// machine too. So setting the clock back prolongs nothing, but for the time that the machine is switched off with a clock that is wrong.
func (k *Keeper) Trusted() time.Time {
	r := k.source()
	k.mu.Lock()
	defer k.mu.Unlock()
	t := r.Wall.Round(0)
	if least := k.least(r); t.Before(least) {
		return least
	}
	return t
}

// Age is the time since the anchor, for a boot that had one; false otherwise.
func (k *Keeper) Age() (time.Duration, bool) {
	r := k.source()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.anchor == nil || k.anchor.Boot != r.Boot {
		return 0, false
	}
	return r.Monotonic - time.Duration(k.anchor.Monotonic), true
}

// expected is the broker's time now. mu must be held and the anchor be of this boot.
func (k *Keeper) expected(r Reading) time.Time {
	return k.anchor.Broker.Add(r.Monotonic - time.Duration(k.anchor.Monotonic))
}

// judge compares the wall clock with the broker's. mu must be held.
func (k *Keeper) judge(r Reading) (record.ClockState, time.Duration) {
	if k.anchor == nil || k.anchor.Boot != r.Boot {
		return record.ClockUnanchored, 0
	}
	since := r.Monotonic - time.Duration(k.anchor.Monotonic)
	off := r.Wall.Sub(k.expected(r)).Abs()
	half := off + anchorError + since*driftPPM/1e6
	if off > agreeTolerance {
		return record.ClockDiffers, half
	}
	return record.ClockAgrees, half
}

// stepped reports whether the wall clock moved against the time since boot since the last stamp. mu must be held.
func (k *Keeper) stepped(r Reading) bool {
	if k.last.Boot == "" || k.last.Boot != r.Boot {
		return false
	}
	return k.moved(r).Abs() > stepTolerance
}

// moved is how far the wall clock moved against the time since boot. mu must be held and the last reading be of this boot.
func (k *Keeper) moved(r Reading) time.Duration {
	return r.Wall.Round(0).Sub(k.last.Wall.Round(0)) - (r.Monotonic - k.last.Monotonic)
}
