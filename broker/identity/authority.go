package identity

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/store"
	"tapline/broker/vault"
	"tapline/proto/wire"
)

// Lifetimes of certificates.
const (
	RootLife    = 10 * 365 * 24 * time.Hour
	IssuingLife = 365 * 24 * time.Hour
	StationLife = 7 * 24 * time.Hour
	ServerLife  = 30 * 24 * time.Hour
	PersonLife  = 90 * 24 * time.Hour // administrators, auditors
	// Backdate is how long before its making a certificate is good: a station's clock may run in local time.
	Backdate = 24 * time.Hour
)

// Authority is the certificate authority: roots, and an issuing CA under the one that issues. ECDSA P-256, because TPMs and every TLS stack know it.
type Authority struct {
	store *store.Store
	vault *vault.Vault
	now   func() time.Time
	site  string

	mu       sync.Mutex // guards what follows
	state    ca
	readings uint64 // that began
	taken    uint64 // the one that state is from
}

// LoadAuthority reads the CA of a site, making it at the first start.
func LoadAuthority(ctx context.Context, s *store.Store, v *vault.Vault, site string, now func() time.Time) (*Authority, error) {
	a := &Authority{store: s, vault: v, now: now, site: site}
	return a, a.Rotate(ctx)
}

// Rotate reads the authority again, for another broker may have changed it, and makes sure that there is an issuing CA that is good now and has
// at least half its life before it. Stations get it with their certificates, so nothing has to be told.
func (a *Authority) Rotate(ctx context.Context) error {
	var c ca
	reading := a.reading()
	err := a.store.Update(ctx, func(tx *store.Tx) (err error) {
		fresh := false
		if c, err = a.readCA(tx); errors.Is(err, store.ErrNotFound) {
			fresh, err = true, c.addRoot(a.site+" Tapline root", taplinev1.RootState_ROOT_STATE_ISSUING, a.now())
		}
		if err != nil {
			return err
		}
		changed, err := c.tend(a.site, a.now())
		if err != nil || !changed && !fresh {
			return err
		}
		return a.writeCA(tx, c)
	})
	if err != nil {
		return fmt.Errorf("certificate authority: %w", err)
	}
	a.take(c, reading)
	return nil
}

// Refresh reads the authority again.
func (a *Authority) Refresh(ctx context.Context) error {
	var c ca
	reading := a.reading()
	err := a.store.View(ctx, func(tx *store.Tx) (err error) {
		c, err = a.readCA(tx)
		return err
	})
	if err != nil {
		return fmt.Errorf("certificate authority: %w", err)
	}
	a.take(c, reading)
	return nil
}

// reading numbers a reading that begins.
func (a *Authority) reading() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.readings++
	return a.readings
}

// take takes over what a reading found, unless one that began later has ended before: it may have seen a step that this one has not.
func (a *Authority) take(c ca, reading uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if reading > a.taken {
		a.state, a.taken = c, reading
	}
}

func (a *Authority) current() ca {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.state
}

// Ready makes sure that certificates can be issued now: after a jump of the clock the issuing CA in use may not be good any more, or not yet.
// It must not be called inside an update.
func (a *Authority) Ready(ctx context.Context) error {
	c := a.current()
	if c.issuer(a.now()) != nil {
		return nil
	}
	return a.Rotate(ctx)
}

// newKey makes a CA's key.
func newKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make CA key: %w", err)
	}
	return key, nil
}

// signCA makes the certificate of a CA, signed by parent or, when there is none, by itself.
func signCA(name string, life time.Duration, key *ecdsa.PrivateKey, parent *root, now time.Time) (*x509.Certificate, error) {
	tmpl := &x509.Certificate{
		SerialNumber:          newSerial(),
		Subject:               pkix.Name{CommonName: name, Organization: []string{"Tapline"}},
		NotBefore:             now.Add(-Backdate),
		NotAfter:              now.Add(life),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLen:            1,
	}
	signer, signKey := tmpl, key
	if parent != nil {
		signer, signKey = parent.cert, parent.key
		tmpl.MaxPathLen, tmpl.MaxPathLenZero = 0, true
		if tmpl.NotBefore.Before(signer.NotBefore) {
			tmpl.NotBefore = signer.NotBefore
		}
		if tmpl.NotAfter.After(signer.NotAfter) {
			tmpl.NotAfter = signer.NotAfter
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, signer, key.Public(), signKey)
	if err != nil {
		return nil, fmt.Errorf("sign CA: %w", err)
	}
	return x509.ParseCertificate(der)
}

// newSerial is a random serial number of 127 bits (RFC 5280, section 4.1.2.2: positive, at most 20 octets).
func newSerial() *big.Int {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b)
}

// RootCertificates are the roots that are trusted, in DER, the one that issues first.
func (a *Authority) RootCertificates() [][]byte {
	c := a.current()
	return c.rootsDER()
}

func (c *ca) rootsDER() [][]byte {
	first := c.issuing()
	all := [][]byte{first.cert.Raw}
	for i := range c.roots {
		if &c.roots[i] != first {
			all = append(all, c.roots[i].cert.Raw)
		}
	}
	return all
}

// Root is the certificate of the root that issues, in DER.
func (a *Authority) Root() []byte { return a.RootCertificates()[0] }

// Pin is the pin of the root that issues, which a token carries.
func (a *Authority) Pin() wire.Pin {
	c := a.current()
	return wire.PinOf(c.issuing().cert)
}

// Roots is what a certificate of a client must lead to.
func (a *Authority) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	for _, r := range a.current().roots {
		pool.AddCert(r.cert)
	}
	return pool
}

// Site is the name that certificates carry.
func (a *Authority) Site() string { return a.site }

// Mark changes whenever certificates that were issued before should be replaced: another root or another issuing CA.
func (a *Authority) Mark() string {
	c := a.current()
	mark := fmt.Sprint(c.version, " ", wire.PinOf(c.issuing().cert))
	if i := c.issuer(a.now()); i != nil {
		mark += " " + hex.EncodeToString(i.certs[0].SerialNumber.Bytes())
	}
	return mark
}

// issued is a new certificate with all that leads from it to a root.
type issued struct {
	leaf    []byte
	between [][]byte // the issuing CA, once for each root that certified it
	roots   [][]byte
}

// chain is what a client shows: leaf first, no roots.
func (i issued) chain() [][]byte { return append([][]byte{i.leaf}, i.between...) }

// whole is the chain with the roots.
func (i issued) whole() [][]byte { return append(i.chain(), i.roots...) }

// issue signs a certificate for key.
func (a *Authority) issue(tmpl *x509.Certificate, key crypto.PublicKey) (issued, error) {
	c, now := a.current(), a.now()
	by := c.issuer(now)
	if by == nil {
		return issued{}, wire.E(wire.Unavailable, "no issuing CA is good at the broker's time, %s: is its clock right?", now.UTC().Format(time.RFC3339))
	}
	parent := by.certs[0]
	tmpl.SerialNumber = newSerial()
	tmpl.KeyUsage = x509.KeyUsageDigitalSignature
	tmpl.BasicConstraintsValid = true
	if tmpl.NotAfter.After(parent.NotAfter) {
		tmpl.NotAfter = parent.NotAfter
	}
	if tmpl.NotBefore.Before(parent.NotBefore) {
		tmpl.NotBefore = parent.NotBefore
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key, by.key)
	if err != nil {
		return issued{}, fmt.Errorf("sign certificate: %w", err)
	}
	return issued{leaf: der, between: raw(by.certs), roots: c.rootsDER()}, nil
}
