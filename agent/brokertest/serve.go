package brokertest

import (
	"crypto/tls"
	"errors"
	"net"
	"testing"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// Serve serves b over TLS on a loopback port until the test or the benchmark ends, and returns the address.
func (b *Broker) Serve(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.ServeOn(t, l)
	return l.Addr().String()
}

// ServeOn serves b on l and returns a function that stops it; it is called at the end of the test too.
func (b *Broker) ServeOn(t testing.TB, l net.Listener) (stop func()) {
	t.Helper()
	s := wire.NewServer(wire.ServerTLS(func() (tls.Certificate, error) { return b.ca.own, nil }, b.ca.roots, b.Now))
	taplinev1.RegisterStationServiceServer(s, b)
	var serving errgroup.Group
	serving.Go(func() error { return s.Serve(l) })
	t.Cleanup(func() {
		s.Stop()
		if err := serving.Wait(); err != nil && !errors.Is(err, grpc.ErrServerStopped) && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	return s.Stop
}
