package identity

import (
	"crypto/x509"
	"encoding/json"
	"errors"
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

// clock is the time that certificates are judged by: the latest of build time, last broker time and the machine's clock. A station whose
// clock lost its battery thus still finds its broker's certificate valid; one whose clock runs ahead does not, and says so.
type clock struct {
	now  func() time.Time
	disk statefile.Disk
	path string

	mu    sync.Mutex
	floor time.Time // surely past at mark
	mark  time.Time // of now, with its monotonic reading
	kept  time.Time // on disk
	limit time.Time // no broker time beyond this is believed
}

type timeState struct {
	Broker time.Time `json:"broker"`
}

func openClock(o Options, dir string) (*clock, error) {
	c := &clock{now: o.Now, disk: o.Disk, path: filepath.Join(dir, timeFile), floor: o.BuiltAt, mark: o.Now()}
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
	if s.Broker.After(c.floor) {
		c.floor = s.Broker
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
	if least := c.floor.Add(max(0, now.Sub(c.mark))); least.After(now) {
		return least
	}
	return now
}

// observe takes over a time that an authenticated broker told, and keeps it on disk now and then.
func (c *clock) observe(broker time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.limit.IsZero() && broker.After(c.limit) {
		return nil
	}
	now := c.now()
	if broker.After(c.floor.Add(max(0, now.Sub(c.mark)))) {
		c.floor, c.mark = broker, now
	}
	if broker.Sub(c.kept) < keepEvery {
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
