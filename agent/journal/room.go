package journal

import (
	"time"

	"tapline/proto/record"
)

// Room is how long the journal can go on without the broker, as records come at present.
type Room struct {
	Free   int64   // bytes that it may still take; -1 where that cannot be asked
	PerDay int64   // bytes that a day takes, by what came in the last days
	Days   float64 // until it is full; 0 when Free is not known
}

const (
	// rateOver is how far back the rate is taken over, and leastOver the least that says anything.
	rateOver  = 7 * 24 * time.Hour
	leastOver = time.Hour
	// quietDay is what a station takes that only says that it lives: so a station that is new does not promise years.
	quietDay = 256 << 10
)

// Room tells how much room there is. It asks the disk and reads one record, so ask it every few minutes and not for each tap.
func (j *Journal) Room() Room {
	s := j.ledger.Stats()
	if s.Free < 0 {
		return Room{Free: -1}
	}
	r := Room{Free: s.Free + max(0, s.Bytes-s.Used), PerDay: quietDay}
	if s.MaxBytes > 0 {
		r.Free = max(0, min(r.Free, s.MaxBytes-s.Used))
	}
	if since, ok := j.firstSince(j.cfg.Clock.Wall().Add(-rateOver)); ok && s.Next > s.First {
		age := max(leastOver, j.cfg.Clock.Wall().Sub(since.Wall))
		records := float64(uint64(s.Next) - uint64(since.Seq))
		each := float64(s.Used) / float64(uint64(s.Next)-uint64(s.First))
		r.PerDay = max(r.PerDay, int64(records*each*float64(24*time.Hour)/float64(age)))
	}
	r.Days = float64(r.Free) / float64(r.PerDay)
	return r
}

// dated is a record and its wall time.
type dated struct {
	Seq  record.Seq
	Wall time.Time
}

// firstSince finds a record of about a time, or the first one: by halves, as if the clock had never been set, which is good enough for a rate.
func (j *Journal) firstSince(t time.Time) (dated, bool) {
	low, high := j.Bounds()
	found, ok := j.dateOf(low)
	for ok && low+1 < high {
		mid := low + (high-low)/2
		d, there := j.dateOf(mid)
		switch {
		case !there:
			return found, ok
		case d.Wall.Before(t):
			low, found = mid, d
		default:
			high = mid
		}
	}
	return found, ok
}

func (j *Journal) dateOf(seq record.Seq) (dated, bool) {
	for raw, err := range j.Entries(seq) {
		if err != nil {
			return dated{}, false
		}
		e, err := record.ReadEntry(raw)
		return dated{seq, e.Payload.Time.Wall}, err == nil
	}
	return dated{}, false
}

// Fault is the word for why the disk takes no records now; empty when it does.
func (j *Journal) Fault() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.degraded
}
