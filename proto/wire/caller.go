package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// judge is TLS for a server that judges the client's certificate once a connection and keeps the verdict for its calls.
type judge struct {
	credentials.TransportCredentials
	config *tls.Config
}

// judged is what is known of the other side of a connection.
type judged struct {
	credentials.TLSInfo
	subject Subject
	leaf    *x509.Certificate // nil when none was shown
	fault   error             // why the one shown is refused
	now     func() time.Time
}

func newJudge(c *tls.Config) credentials.TransportCredentials {
	return &judge{credentials.NewTLS(c), c}
}

// ServerHandshake is TLS's, and then the verdict.
func (j *judge) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := j.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		return nil, nil, err
	}
	shown, ok := info.(credentials.TLSInfo)
	if !ok || len(shown.State.PeerCertificates) == 0 {
		return conn, info, nil
	}
	d := &judged{TLSInfo: shown, leaf: shown.State.PeerCertificates[0], now: time.Now}
	if j.config.Time != nil {
		d.now = j.config.Time
	}
	d.subject, d.fault = j.verdict(shown.State.PeerCertificates, d.now())
	return conn, d, nil
}

// Clone keeps gRPC's copies ours.
func (j *judge) Clone() credentials.TransportCredentials {
	return &judge{j.TransportCredentials.Clone(), j.config}
}

// verdict verifies a client's chain against the roots of now.
func (j *judge) verdict(chain []*x509.Certificate, now time.Time) (Subject, error) {
	config, err := j.config.GetConfigForClient(nil)
	if err != nil {
		return Subject{}, err
	}
	return Judge(config.ClientCAs, chain, now)
}

// Judge verifies a client's certificate chain, leaf first, and says in words what is wrong with it. The server that NewServer makes does it for each
// connection.
func Judge(roots *x509.CertPool, chain []*x509.Certificate, now time.Time) (Subject, error) {
	if err := inTime(chain[0], now); err != nil {
		return Subject{}, err
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}); err != nil {
		var unknown x509.UnknownAuthorityError
		if errors.As(err, &unknown) {
			return Subject{}, E(Unauthenticated, "certificate %x was not issued by this broker", chain[0].SerialNumber)
		}
		return Subject{}, E(Unauthenticated, "certificate %x: %w", chain[0].SerialNumber, err)
	}
	s, err := SubjectOf(chain[0])
	if err != nil {
		return Subject{}, E(Unauthenticated, "%w", err)
	}
	return s, nil
}

// inTime compares a certificate's dates with the broker's clock and tells both, so that a wrong clock is seen for what it is.
func inTime(c *x509.Certificate, now time.Time) error {
	const form = "2006-01-02 15:04:05Z"
	at := now.UTC().Format(form)
	switch {
	case now.After(c.NotAfter):
		return E(Unauthenticated, "certificate %x expired at %s; the broker's clock says %s", c.SerialNumber, c.NotAfter.UTC().Format(form), at)
	case now.Before(c.NotBefore):
		return E(Unauthenticated, "certificate %x is not valid before %s; the broker's clock says %s", c.SerialNumber, c.NotBefore.UTC().Format(form), at)
	}
	return nil
}

// Caller is who calls, as the client certificate of the connection says; false when none was shown. A call over a connection whose certificate
// is refused, or has expired since, never reaches a handler.
func Caller(ctx context.Context) (Subject, *x509.Certificate, bool) {
	d, ok := caller(ctx)
	if !ok || d.fault != nil {
		return Subject{}, nil, false
	}
	return d.subject, d.leaf, true
}

func caller(ctx context.Context) (*judged, bool) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil, false
	}
	d, ok := p.AuthInfo.(*judged)
	return d, ok
}

// admit refuses a call whose certificate was refused or has expired since the connection was made.
func admit(ctx context.Context) error {
	d, ok := caller(ctx)
	switch {
	case !ok:
		return nil
	case d.fault != nil:
		return d.fault
	}
	return inTime(d.leaf, d.now())
}
