// Package tries counts wrong PINs at a station, so that nobody finds one by trying: for each badge, and for the station as a whole, with the broker or without,
// over restarts.
//
// The agent asks it before a PIN is checked by anybody, and tells it of each that was right. A try is on the disk before it is made: whoever pulls the plug
// gains nothing by it. A badge has five; then it is locked for a minute, and for twice as long after each further one, up to an hour. The station has twenty,
// whoever made them, and gets one back a minute: so a handful of badges that were found buys no more.
//
// It holds keyed hashes of badges, numbers and times: never a PIN, a verifier or a name. A disk that does not take the count makes nobody wait: the count goes
// on in memory, and the log says so.
package tries

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"

	"tapline/agent/statefile"
	"tapline/proto/record"
)

const (
	free     = 5 // wrong ones of a badge before the first lock
	lockTime = time.Minute
	maxLock  = time.Hour

	stationFree = 20 // wrong ones of all badges together
	stationBack = time.Minute

	forget   = 30 * 24 * time.Hour // a badge's count, without a try
	fileName = "tries.json"
)

// Config says where the count is kept.
type Config struct {
	Dir  string
	Disk statefile.Disk // nil is the machine's
	// Now is the time to judge by; setting the machine's clock back must not move it.
	Now func() time.Time
	Log *zap.Logger
}

// Book holds the count. Its methods may be called from any goroutine.
type Book struct {
	cfg Config

	mu    sync.Mutex // guards the fields below; held over a write
	state state
	since map[record.BadgeRef]time.Time // of the last try of this run, by a clock that nobody can set
}

// state is what is in the file.
type state struct {
	Badges  map[record.BadgeRef]count `json:"badges"`
	Station count                     `json:"station"`
}

// count is wrong PINs, and when the last one was tried.
type count struct {
	Wrong int       `json:"wrong"`
	At    time.Time `json:"at"`
}

// Open goes on with the count of earlier runs. A file that cannot be read counts as a station that has used its tries up: a minute for each that it gets back.
func Open(cfg Config) (*Book, error) {
	if cfg.Disk == nil {
		cfg.Disk = statefile.OS()
	}
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	b := &Book{cfg: cfg, state: state{Badges: map[record.BadgeRef]count{}}, since: map[record.BadgeRef]time.Time{}}
	if _, err := statefile.Folder(cfg.Dir); err != nil {
		return nil, fmt.Errorf("open the count of PINs: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(cfg.Dir, fileName))
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	var found state
	if err == nil {
		err = json.Unmarshal(text, &found)
	}
	if err != nil || found.Station.Wrong < 0 {
		cfg.Log.Warn("the count of wrong PINs cannot be read: the station gets its tries back one a minute", zap.Error(err))
		b.state.Station = count{stationFree, cfg.Now()}
		return b, nil
	}
	maps.Copy(b.state.Badges, found.Badges)
	b.state.Station = found.Station
	return b, nil
}

// Begin counts a try with a badge before it is made. If it gives a time, none may be made for as long, and none was counted.
func (b *Book) Begin(badge record.BadgeRef) (locked time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.cfg.Now()
	b.state.Station = b.state.Station.drained(now)
	locked = max(b.lockedFor(badge, now), b.state.Station.full())
	if locked > 0 {
		return locked
	}
	b.state.Badges[badge] = count{b.state.Badges[badge].Wrong + 1, now}
	b.since[badge] = time.Now()
	b.state.Station.Wrong++
	b.write(now)
	return 0
}

// Good takes a try back that was right, and forgets the badge's wrong ones.
func (b *Book) Good(badge record.BadgeRef) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.cfg.Now()
	delete(b.state.Badges, badge)
	delete(b.since, badge)
	b.state.Station = b.state.Station.drained(now)
	b.state.Station.Wrong = max(0, b.state.Station.Wrong-1)
	b.write(now)
}

// Unused takes a try back that nobody looked at.
func (b *Book) Unused(badge record.BadgeRef) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.state.Badges[badge]
	if c.Wrong = max(0, c.Wrong-1); c.Wrong == 0 {
		delete(b.state.Badges, badge)
	} else {
		b.state.Badges[badge] = c
	}
	b.state.Station.Wrong = max(0, b.state.Station.Wrong-1)
	b.write(b.cfg.Now())
}

// lockedFor is how long a badge is locked yet. mu must be held. A time before the last try, because the clock was set, counts as that of the try.
func (b *Book) lockedFor(badge record.BadgeRef, now time.Time) time.Duration {
	c := b.state.Badges[badge]
	over := c.Wrong - free
	if over < 0 {
		return 0
	}
	passed := max(0, now.Sub(c.At))
	if since, ok := b.since[badge]; ok {
		passed = time.Since(since)
	}
	return max(0, min(maxLock, lockTime<<min(over, 6))-passed)
}

// drained is a station's count with those that it got back.
func (c count) drained(now time.Time) count {
	if c.Wrong == 0 || now.Before(c.At) {
		return count{c.Wrong, now}
	}
	back := int(now.Sub(c.At) / stationBack)
	if back >= c.Wrong {
		return count{0, now}
	}
	return count{c.Wrong - back, c.At.Add(time.Duration(back) * stationBack)}
}

// full is how long a station has no try left, from when it was drained.
func (c count) full() time.Duration {
	return max(0, time.Duration(c.Wrong-stationFree+1)*stationBack)
}

// write puts the count on the disk. mu must be held.
func (b *Book) write(now time.Time) {
	maps.DeleteFunc(b.state.Badges, func(_ record.BadgeRef, c count) bool { return now.Sub(c.At) > forget })
	text, err := json.Marshal(b.state)
	if err == nil {
		err = statefile.Write(b.cfg.Disk, filepath.Join(b.cfg.Dir, fileName), text)
	}
	if err != nil {
		b.cfg.Log.Error("the count of wrong PINs is not on the disk", zap.Error(err))
	}
}
