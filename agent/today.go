package agent

import (
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/agent/clock"
	"tapline/agent/journal"
	"tapline/proto/record"
	"tapline/proto/record/coverage"
	taplinev1 "tapline/proto/tapline/v1"
)

const (
	// lookBack is how long before midnight the records are read that say how the day began: longer than any session lasts by default.
	lookBack = 25 * time.Hour
	// lookBackRecords bounds that.
	lookBackRecords = 20_000
)

// today accounts for the day so far, from the journal. It reads each record once, and begins anew with each day.
type today struct {
	journal *journal.Journal
	clock   *clock.Keeper

	mu    sync.Mutex // guards the fields below
	began time.Time  // the day's midnight
	fold  *coverage.Fold
	next  record.Seq
}

// day is the day up to now, in the machine's time zone.
func (d *today) day() coverage.Day {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.clock.Trusted().Local()
	if midnight := coverage.Midnight(now); d.fold == nil || !midnight.Equal(d.began) {
		d.began, d.fold = midnight, &coverage.Fold{}
		d.next = d.firstSince(midnight.Add(-lookBack))
	}
	for raw, err := range d.journal.Entries(d.next) {
		if err != nil {
			break
		}
		if e, err := record.ReadEntry(raw); err == nil {
			d.fold.Add(e.Payload)
			d.next = e.Payload.Seq + 1
		}
	}
	if d.journal.Healthy() {
		r := d.clock.Reading()
		d.fold.Alive(record.Time{Wall: r.Wall.Round(0).UTC(), Boot: r.Boot, Monotonic: int64(r.Monotonic)})
	}
	all := d.fold.Intervals()
	if n := len(all); n > 0 && all[n-1].Until.After(d.began) { // as the records count: the broker's clock may be a second off
		now = all[n-1].Until.Local()
	}
	if days := coverage.Days(all, d.began, now, now.Location()); len(days) > 0 {
		return days[len(days)-1]
	}
	return coverage.Day{From: d.began, Until: d.began, Totals: coverage.Totals{}}
}

// firstSince is the first record that has to be read to know how things stood at a time. It looks at one record in a hundred, backwards.
func (d *today) firstSince(t time.Time) record.Seq {
	const stride = 100
	first, next := d.journal.Bounds()
	least := max(first, next-min(next, lookBackRecords))
	at := next
	for at > least {
		at = max(least, at-min(at, stride))
		for raw, err := range d.journal.Entries(at) {
			if e, bad := record.ReadEntry(raw); err == nil && bad == nil && e.Payload.Time.Wall.Before(t) {
				return at
			}
			break
		}
	}
	return least
}

func toCoverage(d coverage.Day) *taplinev1.CoverageStatus {
	of := func(c coverage.Class) *durationpb.Duration { return durationpb.New(d.Totals[c]) }
	return &taplinev1.CoverageStatus{
		From: timestamppb.New(d.From), Until: timestamppb.New(d.Until), Named: of(coverage.Named), Emergency: of(coverage.Emergency),
		Unattributed: of(coverage.Unattributed), Idle: of(coverage.Idle), AgentDown: of(coverage.Down),
	}
}
