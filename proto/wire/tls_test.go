package wire

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// authority is a small CA for these tests: a root that signs leaves.
type authority struct {
	t    *testing.T
	root *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t)}
	a.root = a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: epoch.Add(-time.Hour), NotAfter: epoch.AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, a.key)
	return a
}

var epoch = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (a *authority) sign(template, parent *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	a.t.Helper()
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return c
}

// leaf is a certificate for uri that is valid from from to until; it serves and calls.
func (a *authority) leaf(uri *url.URL, from, until time.Time) tls.Certificate {
	key := newKey(a.t)
	c := a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: from, NotAfter: until, URIs: []*url.URL{uri},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.root, key)
	return tls.Certificate{Certificate: [][]byte{c.Raw, a.root.Raw}, PrivateKey: key, Leaf: c}
}

// serverOnly is a certificate that may serve and not call.
func (a *authority) serverOnly() tls.Certificate {
	key := newKey(a.t)
	c := a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(3), NotBefore: epoch.Add(-time.Hour), NotAfter: epoch.Add(time.Hour), URIs: []*url.URL{station("a")},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, a.root, key)
	return tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key, Leaf: c}
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.root)
	return p
}

func station(name string) *url.URL {
	return Subject{Site: "plant", Role: RoleStation, Name: name}.URI()
}

// serve runs a health server of authority a and returns its address.
func serve(t *testing.T, a *authority) string {
	t.Helper()
	own := a.leaf(Subject{Site: "plant", Role: RoleBroker, Name: "b1"}.URI(), epoch.Add(-time.Hour), epoch.Add(time.Hour))
	now := func() time.Time { return epoch }
	s := NewServer(ServerTLS(func() (tls.Certificate, error) { return own, nil }, a.pool, now))
	healthpb.RegisterHealthServer(s, health.NewServer())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving errgroup.Group
	serving.Go(func() error { return s.Serve(l) })
	t.Cleanup(func() {
		s.Stop()
		if err := serving.Wait(); err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// call makes one call through c.
func call(t *testing.T, address string, c *tls.Config) error {
	t.Helper()
	conn, err := Dial(address, c)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err = healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
	return err
}

func TestWhoMayConnect(t *testing.T) {
	ours, foreign := newAuthority(t), newAuthority(t)
	address := serve(t, ours)
	now := func() time.Time { return epoch }
	showing := func(cert tls.Certificate) func() (tls.Certificate, bool) {
		return func() (tls.Certificate, bool) { return cert, true }
	}
	day := 24 * time.Hour
	good := ours.leaf(station("a/b/c/d"), epoch.Add(-day), epoch.Add(day))
	rows := []struct {
		name   string
		config *tls.Config
		refuse string // part of the error; empty for a call that must succeed
	}{
		{"a station with a good certificate gets in", ClientTLS(showing(good), ours.pool, now), ""},
		{"a station before enrolment knows its broker by the pin", PinnedTLS(PinOf(ours.root), now), ""},
		{"a broker under another root is refused by the pin", PinnedTLS(PinOf(foreign.root), now), ErrWrongRoot.Error()},
		{"a broker under another root is refused by the roots", ClientTLS(showing(good), foreign.pool, now), "unknown authority"},
		{"an expired certificate is refused", ClientTLS(showing(ours.leaf(station("a"), epoch.Add(-2*day), epoch.Add(-day))), ours.pool, now), "expired at 2026-11-21"},
		{"a certificate of the future is refused", ClientTLS(showing(ours.leaf(station("a"), epoch.Add(day), epoch.Add(2*day))), ours.pool, now), "not valid before 2026-11-23"},
		{"a server's certificate does not serve to call", ClientTLS(showing(ours.serverOnly()), ours.pool, now), "incompatible key usage"},
		{"a certificate by a foreign CA is refused", ClientTLS(showing(foreign.leaf(station("a"), epoch.Add(-day), epoch.Add(day))), ours.pool, now), "not issued by this broker"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			err := call(t, address, row.config)
			switch {
			case row.refuse == "" && err != nil:
				t.Error(err)
			case row.refuse != "" && (err == nil || !strings.Contains(err.Error(), row.refuse)):
				t.Errorf("got %v, want %q", err, row.refuse)
			}
		})
	}
}

func TestSubjectsReadBackAndStrangersDoNot(t *testing.T) {
	a := newAuthority(t)
	want := Subject{Site: "plant", Role: RoleStation, Name: "press/line-4/hmi-1"}
	got, err := SubjectOf(a.leaf(want.URI(), epoch, epoch.Add(time.Hour)).Leaf)
	if err != nil || got != want {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	for _, bad := range []string{"https://plant/station/x", "spiffe://plant/station/", "spiffe://plant/god/x", "spiffe:///station/x", "spiffe://plant/station"} {
		u, err := url.Parse(bad)
		if err != nil {
			t.Fatal(err)
		}
		if s, err := SubjectOf(a.leaf(u, epoch, epoch.Add(time.Hour)).Leaf); err == nil {
			t.Errorf("%s was read as %v", bad, s)
		}
	}
	if _, err := SubjectOf(a.root); err == nil {
		t.Error("a certificate without a URI name was read")
	}
}
