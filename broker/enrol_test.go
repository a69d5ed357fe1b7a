package broker

import (
	"crypto/x509"
	"errors"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

func readRoots(path string) (*x509.CertPool, error) {
	b, err := os.ReadFile(path)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(b)
	return pool, err
}

// refused wants an error of a kind that says why.
func refused(t testing.TB, err error, kind wire.Kind, says string) {
	t.Helper()
	if wire.KindOf(err) != kind || !strings.Contains(err.Error(), says) {
		t.Errorf("got %v (%s), want %q (%s)", err, wire.KindOf(err), says, kind)
	}
}

func TestATokenIsRedeemedOnceHoweverManyTryAtOnce(t *testing.T) {
	p := newPlant(t)
	token := p.token(press)
	client := p.stranger(token.Root)
	tries := 1000
	if testing.Short() {
		tries = 100
	}
	var won, lost atomic.Int32
	var g errgroup.Group
	g.SetLimit(50)
	for range tries {
		g.Go(func() error {
			_, err := client.Enrol(t.Context(), newKeys(t).request(t, token, press))
			switch wire.KindOf(err) {
			case wire.None:
				won.Add(1)
			case wire.Unauthenticated:
				lost.Add(1)
			default:
				return err
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if won.Load() != 1 || int(lost.Load()) != tries-1 {
		t.Errorf("%d won and %d lost, want 1 and %d", won.Load(), lost.Load(), tries-1)
	}
}

func TestAnEnrolmentWhoseAnswerWasLostIsAnsweredAgain(t *testing.T) {
	p := newPlant(t)
	token, keys := p.token(press), newKeys(t)
	client, req := p.stranger(token.Root), keys.request(t, token, press)
	first, err := client.Enrol(t.Context(), req)
	p.must(err)
	again, err := client.Enrol(t.Context(), req)
	p.must(err)
	if string(first.GetIdentity().GetCertificates()[0]) != string(again.GetIdentity().GetCertificates()[0]) {
		t.Error("the second answer is another identity")
	}
}

func TestTokensThatDoNotEnrol(t *testing.T) {
	p := newPlant(t)
	token := p.token(press)
	client := p.stranger(token.Root)
	unknown := token
	unknown.Secret = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	_, err := client.Enrol(t.Context(), newKeys(t).request(t, unknown, press))
	refused(t, err, wire.Unauthenticated, "token")
	_, err = client.Enrol(t.Context(), newKeys(t).request(t, token, packing))
	refused(t, err, wire.Unauthenticated, "token")
	forged := newKeys(t).request(t, token, press)
	forged.Proof[0] ^= 1
	_, err = client.Enrol(t.Context(), forged)
	refused(t, err, wire.Unauthenticated, "proof")
	p.clock.advance(25 * time.Hour)
	_, err = client.Enrol(t.Context(), newKeys(t).request(t, token, press))
	refused(t, err, wire.Unauthenticated, "expired")
}

func TestAnExpiredCertificateIsRefusedWithBothClocks(t *testing.T) {
	p := newPlant(t)
	p.staff()
	s := p.enrol(press)
	p.clock.advance(8 * 24 * time.Hour)
	_, err := s.client.OpenSession(t.Context(), tap(anna()))
	refused(t, err, wire.Unauthenticated, "expired at")
	refused(t, err, wire.Unauthenticated, "the broker's clock says")
}

func TestWhoMayCallWhat(t *testing.T) {
	p := newPlant(t)
	p.staff()
	s := p.enrol(press)
	stranger := p.stranger(p.token(packing).Root)
	_, err := stranger.OpenSession(t.Context(), tap(anna()))
	refused(t, err, wire.Unauthenticated, "client certificate")
	_, err = taplinev1.NewAdminServiceClient(s.conn).ListPeople(t.Context(), &taplinev1.ListPeopleRequest{})
	refused(t, err, wire.Denied, "role")
	_, err = taplinev1.NewAuditServiceClient(s.conn).GetTrust(t.Context(), &taplinev1.GetTrustRequest{})
	refused(t, err, wire.Denied, "role")
	_, err = taplinev1.NewStationServiceClient(p.conn).OpenSession(t.Context(), tap(anna()))
	refused(t, err, wire.Denied, "role")
	if _, err := healthpb.NewHealthClient(s.conn).Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
		t.Errorf("health for a station: %v", err)
	}
	reflect := func(c reflectionpb.ServerReflectionClient) error {
		stream, err := c.ServerReflectionInfo(t.Context())
		p.must(err)
		err = stream.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}})
		if err != nil && !errors.Is(err, io.EOF) { // EOF: refused already, and Recv says why
			return err
		}
		_, err = stream.Recv()
		return err
	}
	refused(t, reflect(reflectionpb.NewServerReflectionClient(s.conn)), wire.Denied, "role")
	if err := reflect(reflectionpb.NewServerReflectionClient(p.conn)); err != nil {
		t.Errorf("reflection for an administrator: %v", err)
	}
}

func TestARevokedStationIsCutOffAtOnce(t *testing.T) {
	p := newPlant(t)
	p.staff()
	s := p.enrol(press)
	stream, err := s.client.StreamCommands(t.Context())
	p.must(err)
	p.must(stream.Send(&taplinev1.StreamCommandsRequest{What: &taplinev1.StreamCommandsRequest_Beat{Beat: &taplinev1.StationBeat{Chain: s.keys.chain}}}))
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	_, err = p.admin.RevokeStation(t.Context(), &taplinev1.RevokeStationRequest{Id: press, Reason: "stolen"})
	p.must(err)
	for err == nil { // what was under way may still come
		_, err = stream.Recv()
	}
	refused(t, err, wire.Denied, "revoked")
	_, err = s.client.OpenSession(t.Context(), tap(anna()))
	refused(t, err, wire.Denied, "revoked")
}
