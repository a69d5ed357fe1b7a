package coverage

import (
	"slices"
	"time"
)

// Intervals is what became of the time from the first record up to the last sign of life, in order, without gaps.
func (f *Fold) Intervals() []Interval {
	if len(f.boots) == 0 {
		return nil
	}
	f.now().end = f.life
	settle(f.boots, f.begin)
	var list intervals
	for i, b := range f.boots {
		if i > 0 {
			before := f.boots[i-1]
			list.add(before.in(before.end), b.in(b.first), shown{class: Down}, len(b.knots)*len(before.knots) == 0)
		}
		at, now := b.first, shown{class: Down}
		for _, c := range b.changes {
			if c.at > b.end {
				break
			}
			list.add(b.in(at), b.in(c.at), now, len(b.knots) == 0)
			at, now = c.at, c.shown
		}
		list.add(b.in(at), b.in(b.end), now, len(b.knots) == 0)
	}
	return list
}

type intervals []Interval

// add goes on where the list ends.
func (l *intervals) add(from, until time.Time, s shown, byStationClock bool) {
	if !from.Before(until) {
		return
	}
	i := Interval{From: from.UTC(), Until: until.UTC(), Class: s.class, Session: s.session, Person: s.person, ByStationClock: byStationClock}
	if n := len(*l); n > 0 {
		last := &(*l)[n-1]
		joined := *last
		joined.From, joined.Until = i.From, i.Until
		if joined == i {
			last.Until = i.Until
			return
		}
	}
	*l = append(*l, i)
}

// Totals is how much time was of each class.
type Totals map[Class]time.Duration

// Sum is all of it.
func (t Totals) Sum() time.Duration {
	var sum time.Duration
	for _, d := range t {
		sum += d
	}
	return sum
}

// Seconds is in whole seconds, rounded so that they add up to the whole seconds of the sum: what is left over goes to the classes that lost most.
func (t Totals) Seconds() map[Class]int64 {
	whole := map[Class]int64{}
	left := int64(t.Sum() / time.Second)
	for _, c := range Classes() {
		whole[c] = int64(t[c] / time.Second)
		left -= whole[c]
	}
	byLoss := Classes()
	slices.SortStableFunc(byLoss, func(a, b Class) int { return int(t[b]%time.Second) - int(t[a]%time.Second) })
	for i := range left {
		whole[byLoss[i]]++
	}
	return whole
}

// Day is one calendar day of a station, or the part of it that was asked about.
type Day struct {
	From, Until time.Time // in the zone that was asked for
	Totals      Totals
	// ByStationClock is how much of it no broker's time places.
	ByStationClock time.Duration
}

// Days gives the calendar days of a zone that lie, wholly or in part, between from and until. What no interval tells of is agent down. The totals of
// each day add up to its length exactly.
func Days(all []Interval, from, until time.Time, zone *time.Location) []Day {
	var days []Day
	for at := from.In(zone); at.Before(until); {
		next := midnightAfter(at)
		if next.After(until) {
			next = until.In(zone)
		}
		days = append(days, dayOf(all, at, next))
		at = next
	}
	return days
}

// Midnight is the beginning of the day in which t lies, in t's own zone.
func Midnight(t time.Time) time.Time {
	y, m, d := t.Date()
	start := time.Date(y, m, d, 0, 0, 0, 0, t.Location())
	for start.Day() != d { // a zone that begins its summer at midnight has no such hour
		start = start.Add(time.Hour).Truncate(time.Minute)
	}
	return start
}

func midnightAfter(t time.Time) time.Time {
	y, m, d := t.Date()
	noon := time.Date(y, m, d+1, 12, 0, 0, 0, t.Location())
	return Midnight(noon)
}

func dayOf(all []Interval, from, until time.Time) Day {
	day := Day{From: from, Until: until, Totals: Totals{}}
	first, _ := slices.BinarySearchFunc(all, from, func(i Interval, t time.Time) int {
		if i.Until.After(t) {
			return 1
		}
		return -1
	})
	told := time.Duration(0)
	for _, i := range all[first:] {
		if !i.From.Before(until) {
			break
		}
		begin, end := i.From, i.Until
		if begin.Before(from) {
			begin = from
		}
		if end.After(until) {
			end = until
		}
		day.Totals[i.Class] += end.Sub(begin)
		told += end.Sub(begin)
		if i.ByStationClock {
			day.ByStationClock += end.Sub(begin)
		}
	}
	day.Totals[Down] += until.Sub(from) - told
	return day
}
