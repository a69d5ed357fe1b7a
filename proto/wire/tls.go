package wire

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// Pin is the SHA-256 of a root certificate's SubjectPublicKeyInfo: what a token carries so that a station knows its broker.
type Pin [sha256.Size]byte

// PinOf is the pin of a root.
func PinOf(root *x509.Certificate) Pin { return sha256.Sum256(root.RawSubjectPublicKeyInfo) }

// String is the pin in lower-case hex.
func (p Pin) String() string { return hex.EncodeToString(p[:]) }

// MarshalText is String.
func (p Pin) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText is ParsePin.
func (p *Pin) UnmarshalText(b []byte) (err error) {
	*p, err = ParsePin(string(b))
	return err
}

// ParsePin reads 64 hex digits.
func ParsePin(s string) (Pin, error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != sha256.Size {
		return Pin{}, fmt.Errorf("root pin %q is not 64 hex digits", s)
	}
	return Pin(b), nil
}

// ErrWrongRoot says that the server's chain does not end in the pinned root: not our broker.
var ErrWrongRoot = errors.New("the server's certificate chain does not end in the pinned root")

// PinnedTLS trusts exactly one root, known by its pin: the way in before a station has roots. The server sends its whole chain.
// The host name is checked against the leaf.
func PinnedTLS(pin Pin, now func() time.Time) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		Time:       now,
		// Not a hole: VerifyConnection below does the whole check, against a root that only the pin can name.
		InsecureSkipVerify: true, //nolint:gosec
		VerifyConnection: func(cs tls.ConnectionState) error {
			roots := x509.NewCertPool()
			found := false
			for _, c := range cs.PeerCertificates {
				if PinOf(c) == pin {
					roots.AddCert(c)
					found = true
				}
			}
			if !found {
				return ErrWrongRoot
			}
			return verifyServer(cs, roots, now())
		},
	}
}

// verifyServer checks the peer's chain against roots, its purpose and its host name.
func verifyServer(cs tls.ConnectionState, roots *x509.CertPool, now time.Time) error {
	between := x509.NewCertPool()
	for _, c := range cs.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err := cs.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: now, DNSName: cs.ServerName,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	return err
}

// ClientTLS trusts the given roots and shows the identity. Both are asked anew for each connection, so that a renewal needs no new
// configuration. An id that reports false shows no certificate.
func ClientTLS(id func() (tls.Certificate, bool), roots func() *x509.CertPool, now func() time.Time) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		Time:       now,
		// Not a hole: roots may change while we run, which RootCAs cannot; VerifyConnection does the whole check.
		InsecureSkipVerify: true, //nolint:gosec
		VerifyConnection: func(cs tls.ConnectionState) error {
			return verifyServer(cs, roots(), now())
		},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			cert, ok := id()
			if !ok {
				return &tls.Certificate{}, nil
			}
			return &cert, nil
		},
	}
}

// UndatedTLS trusts the given roots and shows no certificate, like ClientTLS, but takes the server's certificate at whatever time it is: for a
// station that does not know the time and wants to be told. Nothing that comes over it may be believed but what is signed otherwise.
func UndatedTLS(roots func() *x509.CertPool) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		// Not a hole: VerifyConnection below checks everything but the dates.
		InsecureSkipVerify: true, //nolint:gosec
		VerifyConnection: func(cs tls.ConnectionState) error {
			return verifyServer(cs, roots(), cs.PeerCertificates[0].NotBefore)
		},
	}
}

// OutOfTime reports whether a certificate was refused because it is not good at the time that was asked about.
func OutOfTime(err error) bool {
	var invalid x509.CertificateInvalidError
	return errors.As(err, &invalid) && invalid.Reason == x509.Expired
}

// ServerTLS shows the broker's certificate and asks a client for one. It is asked for, not demanded, so that a station can enrol; and TLS does not
// judge it, because TLS 1.3 tells a refused client nothing but an alert, the same for "expired" and "not valid yet", and that only sometimes in
// time. The server that NewServer makes judges it, with words: see Caller.
func ServerTLS(id func() (tls.Certificate, error), roots func() *x509.CertPool, now func() time.Time) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		Time:       now,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			cert, err := id()
			if err != nil {
				return nil, fmt.Errorf("own certificate: %w", err)
			}
			return &tls.Config{
				MinVersion:   tls.VersionTLS13,
				Time:         now,
				Certificates: []tls.Certificate{cert},
				ClientAuth:   tls.RequestClientCert,
				ClientCAs:    roots(),
				NextProtos:   []string{"h2"},
				// No tickets: a resumed session would carry a certificate that has expired since.
				SessionTicketsDisabled: true,
			}, nil
		},
	}
}
