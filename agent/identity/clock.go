package identity

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"tapline/agent/statefile"
)

const (
	timeFile = "time.json"
	// keepEvery is how far broker time may run ahead of what is on disk.
	keepEvery = time.Hour
)

// clock is the time that certificates are judged by. Until a broker has told the time, it is the latest of build time, last broker time and the
// machine's clock: a station whose clock lost its battery still finds its broker's certificate valid. Once a broker has told it, the broker's time
// goes on from there, with the monotonic clock and with what the machine's clock was off by, so that a machine's clock that is years ahead
// does no harm either.
type clock struct {
	now  func() time.Time
	disk statefile.Disk
	path string

	mu    sync.Mutex
	base  time.Time     // the time at mark: a broker's, or the latest that is surely past
	mark  time.Time     // of now, with its monotonic reading
	shift time.Duration // what the machine's clock was behind at mark; 0 until a broker told the time
	kept  time.Time     // on disk
	limit time.Time     // no broker time beyond this is believed
}

type timeState struct {
	Broker time.Time `json:"broker"`
}

func openClock(o Options, dir string) (*clock, error) {
	c := &clock{now: o.Now, disk: o.Disk, path: filepath.Join(dir, timeFile), base: o.BuiltAt, mark: o.Now()}
	b, err := os.ReadFile(c.path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	var s timeState
	if err := json.Unmarshal(b, &s); err != nil {
		return c, nil //nolint:nilerr // a lost floor only means that the machine's clock counts alone
	}
	c.kept = s.Broker
	if s.Broker.After(c.base) {
		c.base = s.Broker
	}
	return c, nil
}

// believe bounds broker time by the life of the roots, so that one wild answer cannot age the station for ever.
func (c *clock) believe(roots []*x509.Certificate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limit = time.Time{}
	for _, r := range roots {
		if r.NotAfter.After(c.limit) {
			c.limit = r.NotAfter
		}
	}
}

// Now is the trusted time.
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at(c.now())
}

func (c *clock) at(now time.Time) time.Time {
	running := c.base.Add(max(0, now.Sub(c.mark)))
	if wall := now.Round(0).Add(c.shift); wall.After(running) { // the machine slept, which its monotonic clock does not count
		return wall
	}
	return running
}

// slack is how far broker time that nobody signed may be behind ours before it is passed over.
const slack = 5 * time.Minute

// observe takes over a time that an authenticated broker told, and keeps it on disk now and then. It never makes the time much earlier than it
// surely is: that takes settle.
func (c *clock) observe(broker time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if broker.After(c.limitOr(broker)) || broker.Before(c.base.Add(max(0, now.Sub(c.mark))).Add(-slack)) {
		return nil
	}
	return c.set(broker, now)
}

// settle takes over a time that the broker signed for us just now, also when it is earlier than what we took for past: a broker's clock that was
// ahead for an hour must not keep a station away for as long as it was ahead.
func (c *clock) settle(broker time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if broker.After(c.limitOr(broker)) {
		return fmt.Errorf("the broker says that it is %s, when no certificate of it is good any more", broker.UTC().Format(time.RFC3339))
	}
	return c.set(broker, c.now())
}

func (c *clock) limitOr(t time.Time) time.Time {
	if c.limit.IsZero() {
		return t
	}
	return c.limit
}

// set is called with mu held.
func (c *clock) set(broker, now time.Time) error {
	c.base, c.mark, c.shift = broker, now, broker.Sub(now.Round(0))
	if ahead := broker.Sub(c.kept); 0 <= ahead && ahead < keepEvery {
		return nil
	}
	b, err := json.Marshal(timeState{Broker: broker.UTC()})
	if err != nil {
		return err
	}
	if err := statefile.Write(c.disk, c.path, b); err != nil {
		return err
	}
	c.kept = broker
	return nil
}
