package identity

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"

	"tapline/agent/keystore"
	"tapline/agent/statefile"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/vouch"
	"tapline/proto/wire"
)

// Manager holds the station's identity and keeps it good. Its methods may be called from several goroutines; Run only once.
type Manager struct {
	dir   string
	ks    keystore.Store
	o     Options
	clock *clock
	key   crypto.Signer // the identity key
	spki  []byte        // its public half
	nudge chan struct{}
	doubt chan struct{}

	renewing sync.Mutex // held over a whole renewal, and over any other change of the files

	mu      sync.Mutex // guards what follows
	state   state
	current *Identity
	roots   *x509.CertPool
	changed chan struct{} // closed, and replaced, when current changes
	trouble error
}

// Load finds the identity in dir, with its keys in ks. The error matches ErrNotEnrolled when there is none.
func Load(dir string, ks keystore.Store, o Options) (*Manager, error) {
	m, err := load(dir, ks, o.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("load identity from %s: %w", dir, err)
	}
	return m, nil
}

func load(dir string, ks keystore.Store, o Options) (*Manager, error) {
	s, ok, err := readState(dir)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, ErrNotEnrolled
	}
	if err := finishEnrolment(dir, ks, o, s); err != nil {
		return nil, err
	}
	m := &Manager{dir: dir, ks: ks, o: o, nudge: make(chan struct{}, 1), doubt: make(chan struct{}, 1), changed: make(chan struct{})}
	if m.clock, err = openClock(o, dir); err != nil {
		return nil, err
	}
	if m.key, err = getKey(ks, s.IdentityKey); err != nil {
		return nil, fmt.Errorf("identity key: %w", err)
	}
	if m.spki, err = x509.MarshalPKIXPublicKey(m.key.Public()); err != nil {
		return nil, err
	}
	tlsKey, err := getKey(ks, s.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("TLS key: %w", err)
	}
	badge, err := ks.Get(s.BadgeKey)
	if err != nil {
		return nil, fmt.Errorf("badge key: %w", err)
	}
	id, err := view(s, tlsKey, badge)
	if err != nil {
		return nil, err
	}
	m.show(s, id)
	return m, nil
}

// show makes id the current identity.
func (m *Manager) show(s state, id *Identity) {
	m.clock.believe(id.Roots)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state, m.current, m.roots = s, id, pool(id.Roots)
	close(m.changed)
	m.changed = make(chan struct{})
}

// Current is the identity now. The caller must not change what it points to.
func (m *Manager) Current() Identity {
	m.mu.Lock()
	defer m.mu.Unlock()
	return *m.current
}

// Changed returns a channel that is closed when the identity changes after this call: connections should then be made anew.
func (m *Manager) Changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

// TLS is how to call a broker: it shows the current certificate unless that has expired, and trusts the current roots. It stays right over renewals.
func (m *Manager) TLS() *tls.Config {
	c := wire.ClientTLS(m.certificate, m.pool, m.clock.Now)
	check := c.VerifyConnection
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		err := check(cs)
		if wire.OutOfTime(err) {
			m.Doubt()
		}
		return err
	}
	return c
}

func (m *Manager) certificate() (tls.Certificate, bool) {
	id := m.Current()
	return id.Certificate, m.clock.Now().Before(id.NotAfter)
}

func (m *Manager) pool() *x509.CertPool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.roots
}

// Now is the trusted time: the latest of build time, last broker time and the machine's clock.
func (m *Manager) Now() time.Time { return m.clock.Now() }

// ObserveTime takes over a time that the broker told over an authenticated line.
func (m *Manager) ObserveTime(broker time.Time) {
	if err := m.clock.observe(broker); err != nil {
		m.o.Log.Warn("the broker's time could not be kept", zap.Error(err))
	}
}

// SignWithIdentity signs a SHA-256 with the identity key: Ed25519 over its 32 bytes, or ECDSA P-256 in ASN.1.
func (m *Manager) SignWithIdentity(digest [32]byte) ([]byte, error) { return signDigest(m.key, digest) }

// Trouble is why the identity could not be renewed the last time; nil when all is well. It matches ErrClone, ErrRevoked and ErrApproval.
func (m *Manager) Trouble() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.trouble
}

// Condition is the trouble as a word for the station's beat: identity-cloned, identity-revoked, identity-needs-approval, identity-expired,
// identity-renewal-late; empty when all is well.
func (m *Manager) Condition() string {
	trouble, id, now := m.Trouble(), m.Current(), m.clock.Now()
	switch {
	case errors.Is(trouble, ErrClone):
		return "identity-cloned"
	case errors.Is(trouble, ErrRevoked):
		return "identity-revoked"
	case errors.Is(trouble, ErrApproval):
		return "identity-needs-approval"
	case !now.Before(id.NotAfter):
		return "identity-expired"
	case trouble != nil && now.After(id.RenewAt.Add(id.NotAfter.Sub(id.RenewAt)/2)):
		return "identity-renewal-late"
	}
	return ""
}

// ApplyTrust takes over the roots and brokers of a trust statement. One that the broker did not sign is an error; one that is not newer than the
// one in hand changes nothing.
func (m *Manager) ApplyTrust(t *taplinev1.TrustUpdate) error {
	m.renewing.Lock()
	defer m.renewing.Unlock()
	m.mu.Lock()
	s, id := m.state, *m.current
	m.mu.Unlock()
	trust, err := vouch.OpenTrust(t.GetStatement(), s.EvidenceKey, id.Site)
	if err != nil {
		return fmt.Errorf("apply trust: %w", err)
	}
	if trust.Version <= s.Trust {
		return nil
	}
	roots, err := parseAll(trust.Roots)
	if err != nil {
		return fmt.Errorf("apply trust: roots: %w", err)
	}
	s.Roots, id.Roots, s.Trust, id.Trust = trust.Roots, roots, trust.Version, trust.Version
	if len(trust.Brokers) > 0 {
		s.Brokers, id.Brokers = trust.Brokers, trust.Brokers
	}
	if err := writeJSON(m.o.Disk, filepath.Join(m.dir, stateFile), s); err != nil {
		return fmt.Errorf("apply trust: %w", err)
	}
	m.show(s, &id)
	return nil
}

// Doubt tells that the broker does not take our certificate, or that we do not take the broker's at the time that we believe it to be: Run then asks
// for the time and renews, though not more often than it makes sense. It does not wait.
func (m *Manager) Doubt() {
	select {
	case m.doubt <- struct{}{}:
	default:
	}
}

// RenewNow makes Run renew before its time. It does not wait.
func (m *Manager) RenewNow() {
	select {
	case m.nudge <- struct{}{}:
	default:
	}
}

// finish removes the request that led to state s, and the keys that it replaced. It may be repeated.
func (m *Manager) finish(s state) error {
	p, ok, err := readPending(m.dir)
	if err != nil || !ok || p.JoinSequence >= s.JoinSequence {
		return err
	}
	if err := m.ks.Delete(otherSlot(tlsSlot, s.TLSKey)); err != nil {
		return err
	}
	if err := m.ks.Delete(otherSlot(badgeSlot, s.BadgeKey)); err != nil {
		return err
	}
	return statefile.Remove(m.o.Disk, filepath.Join(m.dir, pendingFile))
}
