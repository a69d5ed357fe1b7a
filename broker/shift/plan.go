package shift

import "time"

// Plan is all shifts by their IDs.
type Plan map[string]Shift

// Covers reports whether t is within one of the shifts of these IDs, and until when that stays so; zero if nothing changes within a year. No IDs
// at all mean always. An ID that is not in the plan covers nothing.
func (p Plan) Covers(ids []string, t time.Time) (in bool, until time.Time) {
	if len(ids) == 0 {
		return true, time.Time{}
	}
	in, until = p.once(ids, t)
	last := t.AddDate(1, 0, 0)
	for in && !until.IsZero() && until.Before(last) { // another shift may go on where this one ends
		more, later := p.once(ids, until)
		if !more {
			return true, until
		}
		until = later
	}
	if in && !until.Before(last) {
		until = time.Time{}
	}
	return in, until
}

// once looks at each shift by itself: the latest end of those that cover t, else the earliest begin.
func (p Plan) once(ids []string, t time.Time) (in bool, until time.Time) {
	for _, id := range ids {
		s, ok := p[id]
		if !ok {
			continue
		}
		covers, change := s.Covers(t)
		switch {
		case covers && (!in || !until.IsZero() && (change.IsZero() || change.After(until))):
			in, until = true, change
		case !covers && !in && !change.IsZero() && (until.IsZero() || change.Before(until)):
			until = change
		}
	}
	return in, until
}
