package coverage

import (
	"time"

	"tapline/proto/record"
)

const (
	// firstInterval is how long a station may be silent that has not said yet how often its heart beats.
	firstInterval = 5 * time.Minute
	// grace is how late a heartbeat may be.
	grace = 30 * time.Second
)

// Fold takes in the records of one station. The zero Fold is a station of which nothing is known. One goroutine uses it.
type Fold struct {
	boots []*boot
	chain record.ChainID
	last  record.Time // of the last sign of life
	begin time.Time   // the station was not there before; zero when that is not known

	state    state
	life     int64         // the last sign of life, ns since the boot that is last in boots
	interval time.Duration // promised between two heartbeats; 0 before the first
	waiting  []record.Payload
}

// Enrolled says when the broker enrolled the station: nothing of it lies before that. Where there are several chains, the first one counts.
func (f *Fold) Enrolled(at time.Time) {
	if f.begin.IsZero() || at.Before(f.begin) {
		f.begin = at
	}
}

// Add takes in the next record. Chains of one station come one after the other, oldest first. Records of a broker's own chain tell nothing.
func (f *Fold) Add(p record.Payload) {
	if p.Type == record.AdminAct {
		return
	}
	if f.chain != "" && p.Chain != f.chain { // whoever was there on the earlier chain is nobody's claim any more
		f.waiting = nil
		f.state = state{degraded: f.state.degraded}
		if len(f.boots) > 0 {
			f.now().set(f.life, state{}.shown())
		}
	}
	f.chain = p.Chain
	at := f.place(p.Time)
	switch {
	case p.Type == record.StationStarted:
		f.start(p, at)
	case !provesLife(p.Type):
		p.Time.Monotonic = at
		f.waiting = append(f.waiting, p)
	default:
		f.live(at, p.Beat)
		f.last = p.Time
		f.apply(p, at)
	}
}

// Alive is a sign of life without a record, as the agent gives one of itself when it is asked.
func (f *Fold) Alive(now record.Time) {
	if len(f.boots) > 0 && f.state.up && f.now().id == now.Boot {
		f.live(f.place(now), nil)
		f.last = now
	}
}

// provesLife is false for records that a start may write before it says so.
func provesLife(t record.Type) bool {
	return t != record.EpochSealed && t != record.ClockStepped && t != record.JournalDegraded
}

// now is the boot in force.
func (f *Fold) now() *boot { return f.boots[len(f.boots)-1] }

// place finds the time since boot of a record, which never goes back within a boot.
func (f *Fold) place(t record.Time) int64 {
	if len(f.boots) == 0 || f.now().id != t.Boot {
		f.closeBoot()
		f.boots = append(f.boots, newBoot(t))
		f.life = t.Monotonic
	}
	b := f.now()
	b.newest = max(b.newest, t.Monotonic)
	b.note(t)
	return b.newest
}

// closeBoot ends a boot at its last sign of life.
func (f *Fold) closeBoot() {
	if len(f.boots) > 0 {
		f.now().end = f.life
	}
	f.waiting = nil
	f.state.up = false
}

// start begins a run. What the run before left open ends with its last sign of life.
func (f *Fold) start(p record.Payload, at int64) {
	f.prolong(p, at)
	if f.state.up {
		f.now().set(f.life, state{}.shown())
	}
	after := state{up: true, emergency: f.state.emergency}
	for _, w := range f.waiting { // the start's own degradation was stamped after it and stands before it, so that their times are raised to one
		after.degraded = after.degraded || w.Type == record.JournalDegraded && w.Time.Monotonic == at
	}
	f.waiting = nil
	f.state, f.life, f.last = after, at, p.Time
	f.now().set(at, f.state.shown())
}

// prolong believes the mark of the run before as far as that run's next heartbeat.
func (f *Fold) prolong(p record.Payload, at int64) {
	mark := p.Start.Alive
	if mark == nil || p.Start.Stopped {
		return
	}
	b := f.now()
	if mark.Boot == b.id && f.state.up {
		f.flush(min(mark.Monotonic, at))
		f.life = max(f.life, min(mark.Monotonic, f.life+int64(f.promised(nil)), at))
		return
	}
	if n := len(f.boots); n > 1 && len(b.changes) == 0 && f.boots[n-2].id == mark.Boot && f.boots[n-2].shows().class != Down {
		before := f.boots[n-2]
		before.end = max(before.end, min(mark.Monotonic, before.end+int64(f.promised(nil))))
	}
}

// promised is how far two signs of life may lie apart.
func (f *Fold) promised(beat *record.Beat) time.Duration {
	known := f.interval
	if beat != nil {
		known = max(known, time.Duration(beat.Interval)*time.Second)
	}
	if known == 0 {
		known = firstInterval
	}
	return known + grace
}

// live takes in a sign of life: time up to it counts if it does not come too late.
func (f *Fold) live(at int64, beat *record.Beat) {
	b := f.now()
	switch silent := f.state.up && time.Duration(at-f.life) > f.promised(beat); {
	case !f.state.up: // a run whose start is not among the records
		f.state = state{up: true, unknown: true, emergency: f.state.emergency, degraded: f.state.degraded}
		b.set(at, f.state.shown())
	case silent:
		b.set(f.life, state{}.shown())
		f.flush(f.life)
		b.set(at, f.state.shown())
	}
	f.flush(at)
	if beat != nil {
		f.interval = time.Duration(beat.Interval) * time.Second
	}
	f.life = at
}

// flush applies what was waiting for a sign of life after it, up to a time.
func (f *Fold) flush(until int64) {
	for len(f.waiting) > 0 && f.waiting[0].Time.Monotonic <= until {
		w := f.waiting[0]
		f.waiting = f.waiting[1:]
		f.apply(w, w.Time.Monotonic)
	}
}

// apply is the change that a record makes.
func (f *Fold) apply(p record.Payload, at int64) {
	f.state = f.state.take(p)
	f.now().set(at, f.state.shown())
}
