// Package shift says whether a moment lies within the working hours of a shift.
//
// The policy's callers ask it for each tap and for each grant of a bundle, the directory checks entries with it. A shift is a set of weekly
// windows in the local time of its plant, such as "Monday to Friday from 22:00 to 06:00 in Europe/Berlin". A window belongs to the day on which it
// begins, also when it ends on the next one.
//
// Clocks that are put forward or back are handled by one rule: nobody loses a minute by them. A begin or an end that the clock jumps over is the
// moment of the jump; of an hour that comes twice a window begins in the first and ends in the second.
//
// It is pure: no clock, no store. The time zones are part of the program, so that they do not depend on the machine.
package shift

import (
	"cmp"
	"slices"
	"time"
	_ "time/tzdata" // for machines without a database of time zones: Windows, small containers
)

// day is the number of minutes of a day without a change of the clock.
const day = 24 * 60

// horizon is how far ahead a change is looked for.
const horizon = 54 * 7

// Window is a piece of a week in local minutes.
type Window struct {
	// Day is the day on which it begins.
	Day time.Weekday
	// Begin is 0 to 1439, in minutes since midnight; End is 1 to 1440. An End that is not after Begin lies on the next day.
	Begin, End int
}

// Shift is one checked shift. Parse makes one.
type Shift struct {
	ID      string
	Name    string
	Zone    *time.Location
	Windows []Window
	// First and Last are the days on which a window may begin, as midnights in UTC; zero for no such bound.
	First, Last time.Time
}

// span is a window that became a piece of time; the end is not part of it.
type span struct{ begin, end time.Time }

// Covers reports whether t is within the shift, and until when that stays so: the end of the windows that follow one another without a gap, or the
// next begin. The time is zero if nothing changes within a year.
func (s Shift) Covers(t time.Time) (in bool, until time.Time) {
	today := civil(t.In(s.Zone))
	spans := s.spans(today.AddDate(0, 0, -2), 10)
	for _, p := range spans {
		if !t.Before(p.begin) && t.Before(p.end) {
			return true, s.goesOn(p.end, today.AddDate(0, 0, horizon))
		}
	}
	from := today
	if s.First.After(from) {
		from = s.First
	}
	for _, p := range s.spans(from, 9) {
		if p.begin.After(t) {
			return false, p.begin
		}
	}
	return false, time.Time{}
}

// goesOn follows spans that touch until the first gap; zero if there is none before the last day.
func (s Shift) goesOn(end time.Time, last time.Time) time.Time {
	for {
		d := civil(end.In(s.Zone))
		if d.After(last) {
			return time.Time{}
		}
		next := end
		for _, p := range s.spans(d.AddDate(0, 0, -2), 10) {
			if !p.begin.After(next) && p.end.After(next) {
				next = p.end
			}
		}
		if next.Equal(end) {
			return end
		}
		end = next
	}
}

// spans are the windows that begin on n days from a day on, by their begin.
func (s Shift) spans(from time.Time, n int) []span {
	var all []span
	for i := range n {
		d := from.AddDate(0, 0, i)
		if d.Before(s.First) || !s.Last.IsZero() && d.After(s.Last) {
			continue
		}
		for _, w := range s.Windows {
			if w.Day != d.Weekday() {
				continue
			}
			end := w.End
			if end <= w.Begin {
				end += day
			}
			p := span{moment(d, w.Begin, s.Zone, false), moment(d, end, s.Zone, true)}
			if p.begin.Before(p.end) {
				all = append(all, p)
			}
		}
	}
	slices.SortFunc(all, func(a, b span) int { return cmp.Or(a.begin.Compare(b.begin), a.end.Compare(b.end)) })
	return all
}

// civil is the date of t as a midnight in UTC, which no change of a clock disturbs.
func civil(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// moment is when the local clock of a zone shows a minute of a day. Of two such moments late chooses the second; without one it is the moment at
// which the clock jumps over that minute.
func moment(date time.Time, minute int, zone *time.Location, late bool) time.Time {
	wall := date.Add(time.Duration(minute) * time.Minute) // as if it were UTC
	before, after := offset(wall.Add(-day*time.Minute), zone), offset(wall.Add(day*time.Minute), zone)
	first, second := wall.Add(-max(before, after)), wall.Add(-min(before, after))
	shows := func(t time.Time) bool { return offset(t, zone) == wall.Sub(t) }
	switch {
	case shows(first) && (!late || !shows(second)):
		return first
	case shows(second):
		return second
	}
	jump, _ := second.In(zone).ZoneBounds()
	return jump.UTC()
}

func offset(t time.Time, zone *time.Location) time.Duration {
	_, seconds := t.In(zone).Zone()
	return time.Duration(seconds) * time.Second
}
