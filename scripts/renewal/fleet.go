package renewal

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	agent "tapline/agent/identity"
	"tapline/proto/record"
	"tapline/proto/wire"
)

const (
	day   = 24 * time.Hour
	every = 84 * time.Hour // renewal, at half life
	// patience is how long an honest station may try in vain while all is well.
	patience = day
	// sleepMost is the longest absence after which a station comes back by itself, with its certificate's life before it.
	sleepMost = 187*day - 2*time.Hour
	sleepLong = 200 * day
	tellEvery = 500
)

// dawn is when the story begins.
func dawn() time.Time { return time.Date(2027, 1, 4, 6, 0, 0, 0, time.UTC) }

// fleet is one plant: stations, brokers, and the time.
type fleet struct {
	o        Options
	chance   *rand.Rand
	at       time.Time     // the true time
	off      time.Duration // what the brokers' clock is off by
	right    time.Time     // since when it is right, or until when it is wrong
	site     *site
	net      *weather
	stations []*station
	queue    agenda
	broken   error // the first law that was broken, as a story
	result   Result
	progress func(int)
	told     int
	upkeep   upkeep
	last     bool // nothing new begins: there were enough renewals
}

// item is something that happens at a time.
type item struct {
	at   time.Time
	n    int // among items of one time, the order in which they were made
	does func(context.Context) error
}

// agenda is what will happen, soonest first.
type agenda struct {
	items []item
	made  int
}

func (a *agenda) Len() int { return len(a.items) }

func (a *agenda) Less(i, j int) bool {
	if a.items[i].at.Equal(a.items[j].at) {
		return a.items[i].n < a.items[j].n
	}
	return a.items[i].at.Before(a.items[j].at)
}

func (a *agenda) Swap(i, j int) { a.items[i], a.items[j] = a.items[j], a.items[i] }

// Push adds an item, for package heap.
func (a *agenda) Push(x any) { a.items = append(a.items, x.(item)) }

// Pop takes the last item, for package heap.
func (a *agenda) Pop() any {
	last := a.items[len(a.items)-1]
	a.items = a.items[:len(a.items)-1]
	return last
}

func (f *fleet) in(d time.Duration, does func(context.Context) error) {
	f.queue.made++
	heap.Push(&f.queue, item{f.at.Add(d), f.queue.made, does})
}

func newFleet(ctx context.Context, dir string, o Options, seed uint64) (*fleet, error) {
	f := &fleet{o: o, chance: rand.New(rand.NewPCG(seed, 7)), at: dawn(), right: dawn()}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	var err error
	if f.site, err = openSite(ctx, filepath.Join(dir, "broker"), func() time.Time { return f.at.Add(f.off) }); err != nil {
		return nil, err
	}
	f.net = &weather{chance: f.chance, request: o.RequestLoss, reply: o.ReplyLoss, site: f.site}
	for i := range o.Stations {
		s := &station{fleet: f}
		id := record.StationID(fmt.Sprintf("plant/press/line-%d/hmi-%d", i/10+1, i%10+1))
		s.m = &machine{id: id, dir: filepath.Join(dir, fmt.Sprint("station", i)), keys: &keys{held: map[string][]byte{}}, clock: s.clock, net: f.net, built: dawn().Add(-30 * day)}
		token, err := f.site.token(ctx, id)
		if err != nil {
			return nil, err
		}
		if err := s.m.enrol(ctx, token); err != nil {
			return nil, fmt.Errorf("enrol %s: %w", id, err)
		}
		s.renewed = f.at
		f.stations = append(f.stations, s)
		f.in(f.spread(every), s.act)
	}
	f.in(f.spread(upkeepEvery), f.tend)
	return f, nil
}

// spread is a time of about d, by a tenth more or less.
func (f *fleet) spread(d time.Duration) time.Duration {
	return d - d/10 + time.Duration(f.chance.Int64N(int64(d/5)+1))
}

// between is a time from least to most.
func (f *fleet) between(least, most time.Duration) time.Duration {
	return least + time.Duration(f.chance.Int64N(int64(most-least)))
}

// odds says yes in n of 1,000 cases.
func (f *fleet) odds(n int) bool { return f.chance.IntN(1000) < n }

func (f *fleet) days() float64 { return f.at.Sub(dawn()).Hours() / 24 }

// live lets time pass until there were so many renewals, and everybody who was on the way has come home.
func (f *fleet) live(ctx context.Context, renewals int) error {
	for f.queue.Len() > 0 && f.broken == nil {
		if err := ctx.Err(); err != nil {
			return err
		}
		next := heap.Pop(&f.queue).(item)
		f.at = next.at
		if err := next.does(ctx); err != nil {
			return err
		}
		if n := f.result.Renewals - f.told; n >= tellEvery {
			f.told += n
			f.progress(n)
		}
		f.last = f.result.Renewals >= renewals
		if f.last && f.home() {
			break
		}
	}
	f.result.Calls, f.result.RequestsLost, f.result.RepliesLost, f.result.Days = f.net.calls, f.net.r1, f.net.r2, f.days()
	return errors.Join(f.broken, f.site.store.Close())
}

// home says whether nobody is in the middle of a story.
func (f *fleet) home() bool {
	if f.off != 0 || f.upkeep.kept {
		return false
	}
	for _, s := range f.stations {
		if s.story != quiet || !s.failing.IsZero() {
			return false
		}
	}
	return true
}

// breaks notes that a law was broken.
func (f *fleet) breaks(format string, args ...any) {
	if f.broken == nil {
		f.broken = fmt.Errorf(format, args...)
	}
}

// wrong says whether the brokers' clock is wrong, or was until lately.
func (f *fleet) wrong() bool { return f.off != 0 || f.at.Sub(f.right) < patience }

// refusedForGood says whether an answer is one that only an administrator changes.
func refusedForGood(err error) bool {
	return errors.Is(err, agent.ErrClone) || errors.Is(err, agent.ErrRevoked) || errors.Is(err, agent.ErrApproval) || wire.KindOf(err) == wire.Invalid
}
