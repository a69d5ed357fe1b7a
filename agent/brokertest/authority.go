package brokertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/url"
	"testing"
	"time"

	"tapline/proto/wire"
)

// authority is a root, an issuing CA, and the broker's own certificate.
type authority struct {
	t       testing.TB
	root    *x509.Certificate
	issuing *x509.Certificate
	key     *ecdsa.PrivateKey // of issuing
	own     tls.Certificate
}

func newAuthority(t testing.TB, now time.Time) *authority {
	t.Helper()
	a := &authority{t: t}
	rootKey := newKey(t)
	a.root = a.sign(caTemplate("root", now, 10), nil, &rootKey.PublicKey, rootKey)
	a.key = newKey(t)
	a.issuing = a.sign(caTemplate("issuing", now, 5), a.root, &a.key.PublicKey, rootKey)
	ownKey := newKey(t)
	own := a.issue(&x509.Certificate{
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.AddDate(5, 0, 0), DNSNames: []string{"localhost", "broker.test"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, URIs: []*url.URL{wire.Subject{Site: Site, Role: wire.RoleBroker, Name: "b1"}.URI()},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, &ownKey.PublicKey)
	a.own = tls.Certificate{Certificate: [][]byte{own.Raw, a.issuing.Raw, a.root.Raw}, PrivateKey: ownKey, Leaf: own}
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func caTemplate(name string, now time.Time, years int) *x509.Certificate {
	return &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-24 * time.Hour), NotAfter: now.AddDate(years, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
}

// sign makes a certificate; parent nil means self-signed.
func (a *authority) sign(template, parent *x509.Certificate, pub any, key *ecdsa.PrivateKey) *x509.Certificate {
	a.t.Helper()
	if parent == nil {
		parent = template
	}
	template.SerialNumber = new(big.Int).SetBytes(random(16))
	der, err := x509.CreateCertificate(rand.Reader, template, parent, pub, key)
	if err != nil {
		a.t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return c
}

// issue makes a leaf under the issuing CA.
func (a *authority) issue(template *x509.Certificate, pub any) *x509.Certificate {
	template.KeyUsage = x509.KeyUsageDigitalSignature
	return a.sign(template, a.issuing, pub, a.key)
}

// client makes a station's certificate chain.
func (a *authority) client(station string, pub any, from, until time.Time) *x509.Certificate {
	return a.issue(&x509.Certificate{
		NotBefore: from, NotAfter: until, URIs: []*url.URL{wire.Subject{Site: Site, Role: wire.RoleStation, Name: station}.URI()},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, pub)
}

func (a *authority) roots() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.root)
	return p
}
