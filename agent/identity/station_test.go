package identity

import (
	"crypto/tls"
	"path/filepath"
	"testing"
	"time"

	"tapline/agent/brokertest"
	"tapline/agent/keystore"
	"tapline/agent/statefile"
	"tapline/agent/statefile/statefiletest"
	"tapline/proto/wire"
)

const (
	press   = "plant/press/line-4/hmi-1"
	address = "broker.test:7443"
	day     = 24 * time.Hour
)

// site is one station's disk and the broker that it talks to without a network.
type site struct {
	t      *testing.T
	dir    string
	broker *brokertest.Broker
	disk   statefile.Disk
	// cut, when set, may lose a request or its answer: it is given the call to make.
	cut func(call func() error) error
	now func() time.Time
}

func newSite(t *testing.T) *site {
	t.Helper()
	return &site{t: t, dir: t.TempDir(), broker: brokertest.New(t, time.Now), disk: statefile.OS(), now: time.Now}
}

func (s *site) options() Options {
	return Options{Now: s.now, Disk: s.disk, Connect: func(address string, c *tls.Config) (Registrar, func() error, error) {
		return &lossy{Direct: brokertest.Direct{Broker: s.broker, Secure: c, Address: address}, site: s}, func() error { return nil }, nil
	}}
}

func (s *site) keys() (keystore.Store, error) {
	return keystore.Open(keystore.Config{Kind: keystore.Files, Dir: filepath.Join(s.dir, "keys"), Disk: s.disk})
}

func (s *site) mustKeys() keystore.Store {
	s.t.Helper()
	ks, err := s.keys()
	if err != nil {
		s.t.Fatal(err)
	}
	return ks
}

// enrol enrols with a healthy disk and line, and must succeed.
func (s *site) enrol(token wire.Token) *Manager {
	s.t.Helper()
	m, err := Enrol(s.t.Context(), filepath.Join(s.dir, "identity"), s.mustKeys(), token, s.options())
	if err != nil {
		s.t.Fatalf("enrol: %v", err)
	}
	return m
}

// load starts the station again.
func (s *site) load() *Manager {
	s.t.Helper()
	m, err := Load(filepath.Join(s.dir, "identity"), s.mustKeys(), s.options())
	if err != nil {
		s.t.Fatalf("load: %v", err)
	}
	return m
}

// mustWork checks that the broker knows the identity, in both directions.
func (s *site) mustWork(m *Manager) {
	s.t.Helper()
	id := m.Current()
	if known := s.broker.Station(press); known.Join != id.JoinSequence || known.Chain != id.Chain {
		s.t.Errorf("the station is at join %d of chain %s, the broker at %d of %s", id.JoinSequence, id.Chain, known.Join, known.Chain)
	}
	if err := m.Renew(s.t.Context()); err != nil {
		s.t.Errorf("the identity does not work: %v", err)
	}
}

// crashing replaces the site's disk and line by ones that die together.
func (s *site) crashing(disk *statefiletest.Disk) {
	s.disk, s.cut = disk, disk.Step
}

func (s *site) healthy() { s.disk, s.cut = statefile.OS(), nil }
