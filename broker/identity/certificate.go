package identity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"net"
	"net/url"
	"time"

	"tapline/broker/store"
	"tapline/proto/wire"
)

// Server makes a certificate for the broker itself, with a key that never leaves memory.
func (a *Authority) Server(hosts []string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make server key: %w", err)
	}
	now := a.now()
	tmpl := &x509.Certificate{
		Subject:     pkix.Name{CommonName: hosts[0]},
		NotBefore:   now.Add(-Backdate),
		NotAfter:    now.Add(ServerLife),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		URIs:        []*url.URL{wire.Subject{Site: a.site, Role: wire.RoleBroker, Name: hosts[0]}.URI()},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
			continue
		}
		tmpl.DNSNames = append(tmpl.DNSNames, h)
	}
	got, err := a.issue(tmpl, key.Public())
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(got.leaf)
	return tls.Certificate{Certificate: got.whole(), PrivateKey: key, Leaf: leaf}, err
}

// client makes a client's certificate and the row of the registry that must be stored with it.
func (a *Authority) client(subject wire.Subject, key any, life time.Duration, join uint64) (issued, store.Certificate, error) {
	now := a.now()
	tmpl := &x509.Certificate{
		Subject:     pkix.Name{CommonName: subject.Name},
		NotBefore:   now.Add(-Backdate),
		NotAfter:    now.Add(life),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		URIs:        []*url.URL{subject.URI()},
	}
	got, err := a.issue(tmpl, key)
	if err != nil {
		return issued{}, store.Certificate{}, err
	}
	return got, store.Certificate{
		Serial: hex.EncodeToString(tmpl.SerialNumber.Bytes()), Role: subject.Role, Subject: subject.Name, Join: join,
		NotBefore: tmpl.NotBefore, NotAfter: tmpl.NotAfter,
	}, nil
}

// Serial is a certificate's serial number as the registry spells it.
func Serial(c *x509.Certificate) string { return hex.EncodeToString(c.SerialNumber.Bytes()) }

// Limits of what a station sends.
const (
	maxCSR = 8 << 10
	maxKey = 512
)

// readCSR gives the public key of a certificate request for whoever has the name. Nothing else of it is used, and it must not ask for anything else: a request
// for another name was not made by our agent.
func readCSR(der []byte, name string) (any, error) {
	if len(der) == 0 || len(der) > maxCSR {
		return nil, wire.E(wire.Invalid, "csr: %d bytes, want 1 to %d", len(der), maxCSR)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, wire.E(wire.Invalid, "csr: %w", err)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, wire.E(wire.Invalid, "csr: it is not signed by its own key")
	}
	if !goodKey(csr.PublicKey) {
		return nil, wire.E(wire.Invalid, "csr: a key of type %T, want ECDSA P-256 or Ed25519", csr.PublicKey)
	}
	if cn := csr.Subject.CommonName; cn != "" && cn != name {
		return nil, wire.E(wire.Invalid, "csr: its subject is %q, not %s", clip(cn), name)
	}
	if len(csr.DNSNames)+len(csr.IPAddresses)+len(csr.EmailAddresses)+len(csr.URIs) > 0 {
		return nil, wire.E(wire.Invalid, "csr: it asks for names of its own; the broker gives the name")
	}
	return csr.PublicKey, nil
}

func goodKey(key any) bool {
	switch k := key.(type) {
	case ed25519.PublicKey:
		return true
	case *ecdsa.PublicKey:
		return k.Curve == elliptic.P256()
	}
	return false
}

// checkProof checks that the identity key spki signed digest: Ed25519 over the digest as it is, ECDSA as ASN.1 DER.
func checkProof(spki []byte, digest [32]byte, proof []byte) error {
	if len(spki) == 0 || len(spki) > maxKey {
		return wire.E(wire.Invalid, "identity_key: %d bytes, want 1 to %d", len(spki), maxKey)
	}
	key, err := x509.ParsePKIXPublicKey(spki)
	if err != nil || !goodKey(key) {
		return wire.E(wire.Invalid, "identity_key: want ECDSA P-256 or Ed25519 as SubjectPublicKeyInfo")
	}
	good := false
	switch k := key.(type) {
	case ed25519.PublicKey:
		good = ed25519.Verify(k, digest[:], proof)
	case *ecdsa.PublicKey:
		good = ecdsa.VerifyASN1(k, digest[:], proof)
	}
	if !good {
		return wire.E(wire.Unauthenticated, "proof: not the signature of the identity key over this request")
	}
	return nil
}
