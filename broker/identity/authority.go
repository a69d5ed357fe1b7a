package identity

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"math/big"
	"sync"
	"time"

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

// Authority is the certificate authority: an offline-able root and an issuing CA under it. ECDSA P-256, because TPMs and every TLS stack know it.
type Authority struct {
	store *store.Store
	vault *vault.Vault
	now   func() time.Time
	site  string
	root  pair

	mu      sync.Mutex // guards issuing
	issuing pair
}

// pair is a CA's certificate and key.
type pair struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

type storedPair struct {
	Cert []byte `json:"cert"` // DER
	Key  []byte `json:"key"`  // PKCS #8
}

// LoadAuthority reads the CA of a site, making it at the first start.
func LoadAuthority(ctx context.Context, s *store.Store, v *vault.Vault, site string, now func() time.Time) (*Authority, error) {
	a := &Authority{store: s, vault: v, now: now, site: site}
	plain, err := secret(ctx, s, v, now(), "ca-root", func() ([]byte, error) {
		return encodePair(makeCA(site+" Tapline root", RootLife, nil, now()))
	})
	if err != nil {
		return nil, err
	}
	if a.root, err = decodePair(plain); err != nil {
		return nil, fmt.Errorf("root: %w", err)
	}
	return a, a.Rotate(ctx)
}

// Rotate makes sure that the issuing CA has at least half its life before it. Stations get it with their certificates, so nothing has to be told.
func (a *Authority) Rotate(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	for attempt := range 2 {
		plain, err := secret(ctx, a.store, a.vault, now, "ca-issuing", func() ([]byte, error) {
			return encodePair(makeCA(a.site+" Tapline issuing "+now.UTC().Format("2006-01-02"), IssuingLife, &a.root, now))
		})
		if err != nil {
			return err
		}
		if a.issuing, err = decodePair(plain); err != nil {
			return fmt.Errorf("issuing CA: %w", err)
		}
		if attempt == 1 || a.issuing.cert.NotAfter.Sub(now) > IssuingLife/2 {
			return nil
		}
		next, err := encodePair(makeCA(a.site+" Tapline issuing "+now.UTC().Format("2006-01-02"), IssuingLife, &a.root, now))
		if err != nil {
			return err
		}
		err = a.store.Update(ctx, func(tx *store.Tx) error { return tx.PutSecret("ca-issuing", a.vault.Seal("ca-issuing", next), now) })
		if err != nil {
			return fmt.Errorf("rotate issuing CA: %w", err)
		}
	}
	return nil
}

// makeCA makes a CA certificate, signed by parent or by itself.
func makeCA(name string, life time.Duration, parent *pair, now time.Time) (pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, fmt.Errorf("make CA key: %w", err)
	}
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
	signer := pair{cert: tmpl, key: key}
	if parent != nil {
		signer = *parent
		tmpl.MaxPathLen, tmpl.MaxPathLenZero = 0, true
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, signer.cert, key.Public(), signer.key)
	if err != nil {
		return pair{}, fmt.Errorf("sign CA: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	return pair{cert: cert, key: key}, err
}

func encodePair(p pair, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(p.key)
	if err != nil {
		return nil, fmt.Errorf("encode CA key: %w", err)
	}
	return json.Marshal(storedPair{Cert: p.cert.Raw, Key: key})
}

func decodePair(b []byte) (pair, error) {
	var s storedPair
	if err := json.Unmarshal(b, &s); err != nil {
		return pair{}, fmt.Errorf("decode CA: %w", err)
	}
	cert, err := x509.ParseCertificate(s.Cert)
	if err != nil {
		return pair{}, fmt.Errorf("decode CA: %w", err)
	}
	key, err := x509.ParsePKCS8PrivateKey(s.Key)
	if err != nil {
		return pair{}, fmt.Errorf("decode CA: %w", err)
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return pair{}, fmt.Errorf("decode CA: a key of type %T", key)
	}
	return pair{cert: cert, key: ec}, nil
}

// newSerial is a random serial number of 127 bits (RFC 5280, section 4.1.2.2: positive, at most 20 octets).
func newSerial() *big.Int {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b)
}

// Root is the root's certificate in DER.
func (a *Authority) Root() []byte { return a.root.cert.Raw }

// Pin is the root's pin, which a token carries.
func (a *Authority) Pin() wire.Pin { return wire.PinOf(a.root.cert) }

// Roots is what a certificate of a client must lead to.
func (a *Authority) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.root.cert)
	return pool
}

// Site is the name that certificates carry.
func (a *Authority) Site() string { return a.site }

// issue signs a certificate for key and gives its chain, leaf first, root last, in DER.
func (a *Authority) issue(tmpl *x509.Certificate, key crypto.PublicKey) ([][]byte, error) {
	a.mu.Lock()
	issuing := a.issuing
	a.mu.Unlock()
	tmpl.SerialNumber = newSerial()
	tmpl.KeyUsage = x509.KeyUsageDigitalSignature
	tmpl.BasicConstraintsValid = true
	if tmpl.NotAfter.After(issuing.cert.NotAfter) {
		tmpl.NotAfter = issuing.cert.NotAfter
	}
	if tmpl.NotBefore.Before(issuing.cert.NotBefore) {
		tmpl.NotBefore = issuing.cert.NotBefore
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, issuing.cert, key, issuing.key)
	if err != nil {
		return nil, fmt.Errorf("sign certificate: %w", err)
	}
	return [][]byte{der, issuing.cert.Raw, a.root.cert.Raw}, nil
}
