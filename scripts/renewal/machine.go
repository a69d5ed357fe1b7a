package renewal

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"sync"
	"time"

	agent "tapline/agent/identity"
	"tapline/agent/keystore"
	"tapline/agent/statefile"
	"tapline/proto/record"
	"tapline/proto/wire"
)

func stationOf(by *admitted) record.StationID { return record.StationID(by.who.Name) }

// machine is one station's computer: a disk, a clock, and what runs on it.
type machine struct {
	id       record.StationID
	dir      string
	keys     *keys
	clock    func() time.Time
	net      *weather
	built    time.Time
	identity *agent.Manager
}

// keys is a keystore in memory.
type keys struct {
	mu   sync.Mutex // guards held
	held map[string][]byte
}

// Get returns a secret.
func (k *keys) Get(name string) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	b, ok := k.held[name]
	if !ok {
		return nil, fmt.Errorf("secret %s: %w", name, keystore.ErrNotFound)
	}
	return b, nil
}

// Put stores a secret.
func (k *keys) Put(name string, secret []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held[name] = append([]byte(nil), secret...)
	return nil
}

// Delete forgets a secret.
func (k *keys) Delete(name string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.held, name)
	return nil
}

// Where says where the secrets are.
func (k *keys) Where() string { return "memory" }

func (k *keys) copied() *keys {
	k.mu.Lock()
	defer k.mu.Unlock()
	return &keys{held: maps.Clone(k.held)}
}

// quick is the machine's disk without waiting until it is durable: nobody pulls the plug here.
type quick struct{ statefile.Disk }

// CreateTemp makes a file that does not wait either.
func (q quick) CreateTemp(dir, pattern string) (statefile.File, error) {
	f, err := q.Disk.CreateTemp(dir, pattern)
	return quickFile{f}, err
}

// SyncDir does not wait.
func (q quick) SyncDir(string) error { return nil }

type quickFile struct{ statefile.File }

// Sync does not wait.
func (quickFile) Sync() error { return nil }

func (m *machine) options() agent.Options {
	return agent.Options{Now: m.clock, Disk: quick{statefile.OS()}, Connect: m.net.connect, BuiltAt: m.built, Build: "simulated"}
}

// enrol trades the token for an identity, however often it takes.
func (m *machine) enrol(ctx context.Context, token wire.Token) error {
	var err error
	for range 200 {
		if m.identity, err = agent.Enrol(ctx, m.dir, m.keys, token, m.options()); err == nil || wire.KindOf(err) != wire.Unavailable {
			return err
		}
	}
	return err
}

// start starts the agent again.
func (m *machine) start() (err error) {
	m.identity, err = agent.Load(m.dir, m.keys, m.options())
	return err
}

// cloned is a second machine with a copy of the disk as it is.
func (m *machine) cloned(n int) (*machine, error) {
	c := *m
	c.dir, c.keys = fmt.Sprintf("%s-copy%d", m.dir, n), m.keys.copied()
	if err := copyTree(m.dir, c.dir); err != nil {
		return nil, err
	}
	return &c, c.start()
}

// snapshot is the disk at a time, for an administrator who puts it back later.
func (m *machine) snapshot() (func() error, error) {
	dir, kept := filepath.Clean(m.dir)+"-snapshot", m.keys.copied()
	if err := copyTree(m.dir, dir); err != nil {
		return nil, err
	}
	return func() error {
		m.keys = kept.copied()
		if err := copyTree(dir, m.dir); err != nil {
			return err
		}
		return m.start()
	}, nil
}
