package clock

import (
	"strings"
	"time"
)

// Floor says that at one moment it was not earlier than Least. It rests on what a broker told and on clocks that nobody can set, never on the wall clock: a
// wall clock that was years ahead for a minute must not age the station.
type Floor struct {
	Least     time.Time     `json:"least"`
	Boot      string        `json:"boot"`
	Monotonic time.Duration `json:"mono_ns"`
}

// Floor is that of now, for the next run of the machine; zero when no broker has ever told the time. The caller keeps it.
func (k *Keeper) Floor() Floor {
	r := k.source()
	k.mu.Lock()
	defer k.mu.Unlock()
	least := k.least(r)
	if least.IsZero() {
		return Floor{}
	}
	return Floor{Least: least.UTC(), Boot: r.Boot, Monotonic: r.Monotonic}
}

// Raise takes in the floor of an earlier run.
func (k *Keeper) Raise(f Floor) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.raise(f)
}

// raise keeps the floor that says more. mu must be held.
func (k *Keeper) raise(f Floor) {
	if f.Least.After(k.floor.Least) {
		k.floor = f
	}
}

// least is the earliest that it can be at r; zero when nothing is known. What was told in an earlier run of the machine was told before this one began.
// mu must be held.
func (k *Keeper) least(r Reading) time.Time {
	var least time.Time
	if k.anchor != nil {
		least = passed(k.anchor.Broker, k.anchor.Boot, time.Duration(k.anchor.Monotonic), r)
	}
	if k.floor.Least.IsZero() {
		return least
	}
	if f := passed(k.floor.Least, k.floor.Boot, k.floor.Monotonic, r); f.After(least) {
		return f
	}
	return least
}

// passed is a time of a moment, and what has surely passed since. Two boots whose names were guessed may be one.
func passed(t time.Time, boot string, at time.Duration, r Reading) time.Time {
	if boot == r.Boot || guessed(boot) && guessed(r.Boot) && r.Monotonic >= at {
		return t.Add(max(0, r.Monotonic-at))
	}
	return t.Add(r.Monotonic)
}

// guessPrefix begins the name of a boot that the system does not number: the minute in which it was, by the wall clock.
const guessPrefix = "at-"

func guessed(boot string) bool { return strings.HasPrefix(boot, guessPrefix) }
