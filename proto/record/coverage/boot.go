package coverage

import (
	"math"
	"slices"
	"time"

	"tapline/proto/record"
)

// change is what a station is from a time since boot on.
type change struct {
	at int64
	shown
}

// knot ties the time since boot to the broker's time.
type knot struct {
	at     int64
	broker time.Time
}

const (
	// agree is how far two anchors may differ and say the same: the way of the broker's time to the station, twice.
	agree = 2 * time.Second
	// driftPerMille is more than any crystal drifts, in thousandths.
	driftPerMille = 1
)

// boot is one run of an operating system.
type boot struct {
	id         string
	first, end int64
	newest     int64 // record's, with or without being a sign of life
	changes    []change
	knots      []knot
	// walls are the places that the wall clock gave the start of the boot at, each that differs.
	walls []time.Time
	shift time.Duration // by which it is moved to fit behind the one before
}

func newBoot(t record.Time) *boot { return &boot{id: t.Boot, first: t.Monotonic, newest: t.Monotonic} }

// set says what the station is from at on. A time before what was said already is that time.
func (b *boot) set(at int64, s shown) {
	if n := len(b.changes); n > 0 {
		last := &b.changes[n-1]
		at = max(at, last.at)
		if at == last.at {
			last.shown = s
			return
		}
		if last.shown == s {
			return
		}
	}
	b.changes = append(b.changes, change{at, s})
}

// shows is what the station was last.
func (b *boot) shows() shown {
	if len(b.changes) == 0 {
		return shown{class: Down}
	}
	return b.changes[len(b.changes)-1].shown
}

// note takes in what a record says of the calendar.
func (b *boot) note(t record.Time) {
	zero := t.Wall.Add(-time.Duration(t.Monotonic))
	if n := len(b.walls); n == 0 || zero.Sub(b.walls[n-1]).Abs() > agree {
		b.walls = append(b.walls, zero)
	}
	if a := t.Anchor; a != nil && a.Boot == b.id {
		b.anchor(knot{a.Monotonic, a.Broker})
	}
}

// anchor keeps an anchor that says something new and can be true.
func (b *boot) anchor(k knot) {
	if len(b.knots) == 0 {
		b.knots = append(b.knots, k)
		return
	}
	last := b.knots[len(b.knots)-1]
	since := time.Duration(k.at - last.at)
	if off := (k.broker.Sub(last.broker) - since).Abs(); off > agree && off <= since*driftPerMille/1000 {
		b.knots = append(b.knots, k)
	}
}

func (b *boot) length() time.Duration { return time.Duration(b.end - b.first) }

// anchored is the calendar's time by the broker's anchors, of which there must be one.
func (b *boot) anchored(at int64) time.Time {
	i, _ := slices.BinarySearchFunc(b.knots, at, func(k knot, at int64) int {
		if k.at < at {
			return -1
		}
		return 1
	})
	near := b.knots[max(i-1, 0)]
	t := near.broker.Add(time.Duration(at - near.at))
	if i == 0 || i == len(b.knots) {
		return t
	}
	next := b.knots[i]
	span := next.at - near.at
	drift := next.broker.Sub(near.broker) - time.Duration(span)
	return t.Add(time.Duration(math.Round(float64(drift) * float64(at-near.at) / float64(span))))
}

// in is the calendar's time.
func (b *boot) in(at int64) time.Time {
	if len(b.knots) > 0 {
		return b.anchored(at).Add(b.shift)
	}
	return b.walls[0].Add(time.Duration(at)).Add(b.shift)
}

// settle gives each boot its place: those that heard the broker where it said, the others by their own clock, in the room between.
func settle(boots []*boot, begin time.Time) {
	floor := begin
	for i, b := range boots {
		b.shift = 0
		if len(b.knots) == 0 {
			b.guess(floor, ceiling(boots[i:]))
		}
		if from := b.in(b.first); !floor.IsZero() && from.Before(floor) {
			b.shift += floor.Sub(from)
		}
		floor = b.in(b.end)
	}
}

// ceiling is before when the first of boots has to end, so that those after it have room up to the next that heard the broker; zero for none.
func ceiling(boots []*boot) time.Time {
	var room time.Duration
	for _, b := range boots[1:] {
		if len(b.knots) > 0 {
			return b.anchored(b.first).Add(-room)
		}
		room += b.length()
	}
	return time.Time{}
}

// guess places a boot by the first reading of its wall clock that fits between floor and ceiling; if none does, the first one is moved.
func (b *boot) guess(floor, ceiling time.Time) {
	fits := func(zero time.Time) bool {
		from, until := zero.Add(time.Duration(b.first)), zero.Add(time.Duration(b.end))
		return (floor.IsZero() || !from.Before(floor)) && (ceiling.IsZero() || !until.After(ceiling))
	}
	for _, zero := range b.walls {
		if fits(zero) {
			b.shift = zero.Sub(b.walls[0])
			return
		}
	}
	if until := b.in(b.end); !ceiling.IsZero() && until.After(ceiling) {
		b.shift = ceiling.Sub(until)
	}
}
