// Package tracetest has an OpenTelemetry collector for tests: the real gRPC service over TLS, which keeps what it gets. Only tests use it.
package tracetest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/encoding/protojson"

	"tapline/broker/trace"
)

// Collector keeps what is exported to it.
type Collector struct {
	collector.UnimplementedTraceServiceServer
	Config trace.Config // sends everything to it

	mu  sync.Mutex // guards got
	got []*otlp.ResourceSpans
}

// Serve makes a collector that listens on loopback until the test ends.
func Serve(t testing.TB) *Collector {
	t.Helper()
	cert, ca := certificate(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &Collector{Config: trace.Config{OTLP: l.Addr().String(), Sample: 1, CAFile: ca}}
	s := grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&cert)))
	collector.RegisterTraceServiceServer(s, c)
	var g errgroup.Group
	g.Go(func() error { return s.Serve(l) })
	t.Cleanup(func() {
		s.Stop()
		if err := g.Wait(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// Export is the collector's service.
func (c *Collector) Export(_ context.Context, req *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, req.GetResourceSpans()...)
	return &collector.ExportTraceServiceResponse{}, nil
}

// Spans are all spans by name.
func (c *Collector) Spans() map[string][]*otlp.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[string][]*otlp.Span{}
	for _, r := range c.got {
		for _, s := range r.GetScopeSpans() {
			for _, span := range s.GetSpans() {
				all[span.GetName()] = append(all[span.GetName()], span)
			}
		}
	}
	return all
}

// Text is everything that was exported, as text: where a test looks for what must not be there.
func (c *Collector) Text(t testing.TB) string {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	var all string
	for _, r := range c.got {
		b, err := protojson.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		all += string(b) + "\n"
	}
	return all
}

// certificate makes a certificate for loopback, and a file with it as the root.
func certificate(t testing.TB) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "collector.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}
