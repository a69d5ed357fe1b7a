package broker

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

const (
	press   = "plant/press/line-4/hmi-1"
	packing = "plant/packing/line-2/hmi-1"
	account = "press-hmi"
)

// clock is a clock that a test moves.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// plant is a broker over real TLS on loopback, and an administrator.
type plant struct {
	t     testing.TB
	cfg   Config
	clock *clock
	admin taplinev1.AdminServiceClient
	audit taplinev1.AuditServiceClient
	conn  *grpc.ClientConn // the administrator's
	run   *Broker
	stop  func()
}

func newPlant(t testing.TB) *plant {
	t.Helper()
	return newPlantWith(t, func(*Config) {})
}

// newPlantWith is newPlant with another configuration.
func newPlantWith(t testing.TB, change func(*Config)) *plant {
	t.Helper()
	p := &plant{t: t, clock: &clock{}, cfg: Config{
		Listen: freeAddress(t), Data: t.TempDir(), Store: storeOf(t), Site: "plant", Hosts: []string{"127.0.0.1"},
		Log:    LogConfig{Level: "error", Format: "json"},
		Limits: unlimited(),
	}}
	change(&p.cfg)
	if err := p.cfg.fill(); err != nil {
		t.Fatal(err)
	}
	p.start()
	return p
}

// start runs the broker; it stops at the end of the test, or when stop is called.
func (p *plant) start() {
	p.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	b, err := New(ctx, p.cfg, Options{Build: "test", Now: p.clock.now})
	if err != nil {
		cancel()
		p.t.Fatal(err)
	}
	p.run = b
	var running errgroup.Group
	running.Go(func() error { return b.Run(ctx) })
	stopped := false
	p.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := running.Wait(); err != nil {
			p.t.Errorf("the broker ended with %v", err)
		}
	}
	p.t.Cleanup(p.stop)
	p.conn = p.dial(p.adminTLS())
	p.admin, p.audit = taplinev1.NewAdminServiceClient(p.conn), taplinev1.NewAuditServiceClient(p.conn)
}

func (p *plant) adminTLS() *tls.Config {
	p.t.Helper()
	dir := filepath.Join(p.cfg.Data, "admin")
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "admin.crt"), filepath.Join(dir, "admin.key"))
	if err != nil {
		p.t.Fatal(err)
	}
	return wire.ClientTLS(func() (tls.Certificate, bool) { return cert, true }, p.roots, p.clock.now)
}

func (p *plant) dial(c *tls.Config) *grpc.ClientConn {
	p.t.Helper()
	conn, err := wire.Dial(p.cfg.Listen, c, grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// staff makes what a first station needs: an account, Anna with a badge, and the stations.
func (p *plant) staff() {
	p.t.Helper()
	ctx := p.t.Context()
	_, err := p.admin.PutAccount(ctx, &taplinev1.PutAccountRequest{Account: &taplinev1.Account{Id: account, Driver: "none", Stations: []string{"plant/"}}})
	p.must(err)
	for _, id := range []string{press, packing} {
		_, err = p.admin.PutStation(ctx, &taplinev1.PutStationRequest{Station: &taplinev1.Station{Id: id, Account: account, Mode: taplinev1.Mode_MODE_ATTRIBUTE}})
		p.must(err)
	}
	p.hire("p-1", "Anna B.", anna())
}

func (p *plant) hire(id, name string, badge []byte) *taplinev1.Badge {
	p.t.Helper()
	ctx := p.t.Context()
	_, err := p.admin.PutPerson(ctx, &taplinev1.PutPersonRequest{Person: &taplinev1.PersonEntry{Id: id, DisplayName: name, Roles: []string{"operator"}, Source: "local"}})
	p.must(err)
	r, err := p.admin.AssignBadge(ctx, &taplinev1.AssignBadgeRequest{Person: id, Badge: proofOf(badge)})
	p.must(err)
	return r.GetBadge()
}

func (p *plant) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func anna() []byte { return []byte("uid\x0032\x00\x04\xa1\xb2\xc3") }

func ben() []byte { return []byte("uid\x0032\x00\x04\xd4\xe5\xf6") }

func proofOf(number []byte) *taplinev1.BadgeProof {
	return &taplinev1.BadgeProof{Number: number, Technology: "iso14443a", Assurance: taplinev1.Assurance_ASSURANCE_CHIP_UID}
}

// token makes a token for a station.
func (p *plant) token(station string) wire.Token {
	p.t.Helper()
	r, err := p.admin.CreateToken(p.t.Context(), &taplinev1.CreateTokenRequest{Station: station})
	p.must(err)
	t, err := wire.ParseToken(r.GetSecret())
	p.must(err)
	return t
}

// stranger is a connection without a certificate.
func (p *plant) stranger(root wire.Pin) taplinev1.StationServiceClient {
	return taplinev1.NewStationServiceClient(p.dial(wire.PinnedTLS(root, p.clock.now)))
}

// hmi is a scripted station: it does exactly what a test tells it.
type hmi struct {
	*plant
	id       string
	keys     stationKeys
	identity *taplinev1.Identity
	client   taplinev1.StationServiceClient
	conn     *grpc.ClientConn
	chain    *record.Chain
}

// stationKeys are what a station makes before it enrols.
type stationKeys struct {
	identity, tls, record ed25519.PrivateKey
	chain                 string
}

func newKeys(t testing.TB) stationKeys {
	t.Helper()
	fresh := func() ed25519.PrivateKey {
		_, k, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	return stationKeys{fresh(), fresh(), fresh(), uuid.NewString()}
}

// request is the enrolment of a station with these keys.
func (k stationKeys) request(t testing.TB, token wire.Token, station string) *taplinev1.EnrolRequest {
	t.Helper()
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, k.tls)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(k.identity.Public())
	if err != nil {
		t.Fatal(err)
	}
	key := record.PublicKeyOf(k.record)
	digest := wire.EnrolDigest(token.Secret, station, csr, key[:], k.chain)
	return &taplinev1.EnrolRequest{
		Token: token.Secret, Station: station, Csr: csr, IdentityKey: spki, RecordKey: key[:], Chain: k.chain,
		Proof: ed25519.Sign(k.identity, digest[:]), Build: "test",
	}
}

// enrol makes an enrolled station.
func (p *plant) enrol(id string) *hmi {
	p.t.Helper()
	s := &hmi{plant: p, id: id, keys: newKeys(p.t)}
	token := p.token(id)
	r, err := p.stranger(token.Root).Enrol(p.t.Context(), s.keys.request(p.t, token, id))
	p.must(err)
	s.identity = r.GetIdentity()
	s.connect()
	e, err := record.ParseEnvelope(s.identity.GetStationStatement())
	p.must(err)
	var st record.StationStatement
	p.must(record.OpenStatement(e, record.StationPayloadType, s.evidenceKey(), &st))
	s.chain = record.NewChain(st)
	return s
}

func (s *hmi) evidenceKey() record.PublicKey {
	s.t.Helper()
	k, err := record.NewPublicKey(s.identity.GetEvidenceKey())
	s.must(err)
	return k
}

// connect dials with the station's certificate.
func (s *hmi) connect() {
	s.t.Helper()
	cert := tls.Certificate{Certificate: s.identity.GetCertificates(), PrivateKey: s.keys.tls}
	roots := x509.NewCertPool()
	for _, der := range s.identity.GetRoots() {
		c, err := x509.ParseCertificate(der)
		s.must(err)
		roots.AddCert(c)
	}
	s.conn = s.dial(wire.ClientTLS(func() (tls.Certificate, bool) { return cert, true }, func() *x509.CertPool { return roots }, s.clock.now))
	s.client = taplinev1.NewStationServiceClient(s.conn)
}

// tap is a tap of somebody, as a new session.
func tap(badge []byte) *taplinev1.OpenSessionRequest {
	id, err := uuid.NewV7()
	if err != nil {
		panic(err)
	}
	return &taplinev1.OpenSessionRequest{Session: id.String(), Badge: proofOf(badge), Mode: taplinev1.Mode_MODE_ATTRIBUTE, Reader: "Reader A"}
}

// write makes n records that follow one another.
func (s *hmi) write(n int) [][]byte {
	s.t.Helper()
	var all [][]byte
	for range n {
		e, err := s.chain.Next(s.beat(), s.keys.record)
		s.must(err)
		s.must(s.chain.Commit(e))
		all = append(all, e.Bytes())
	}
	return all
}

// beat is a heartbeat, the smallest of records.
func (s *hmi) beat() record.Payload {
	now := s.clock.now().UTC()
	return record.Payload{
		Type: record.StationHeartbeat, Mode: record.ModeAttribute,
		Time: record.Time{Wall: now, Boot: "3f8e4c1e-6a59-4b07-9a0c-5b7c5a1d2e3f", Monotonic: now.UnixNano(), State: record.ClockUnanchored},
		Beat: &record.Beat{Interval: 300, State: "idle"},
	}
}

// send streams one batch on a stream of its own and gives the answer.
func (s *hmi) send(first record.Seq, records [][]byte) (record.Receipt, error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	stream, err := s.client.StreamRecords(ctx)
	s.must(err)
	err = stream.Send(&taplinev1.StreamRecordsRequest{Chain: s.keys.chain, FirstSeq: uint64(first), Records: records})
	if err != nil && !errors.Is(err, io.EOF) { // EOF: refused already, and Recv says why
		return record.Receipt{}, err
	}
	r, err := stream.Recv()
	if err != nil {
		return record.Receipt{}, err
	}
	e, err := record.ParseEnvelope(r.GetReceipt())
	s.must(err)
	var receipt record.Receipt
	s.must(record.OpenStatement(e, record.ReceiptPayloadType, s.evidenceKey(), &receipt))
	return receipt, nil
}

func (p *plant) roots() *x509.CertPool {
	p.t.Helper()
	pool, err := readRoots(filepath.Join(p.cfg.Data, "admin", "roots.pem"))
	p.must(err)
	return pool
}

// alarms are the kinds of alarms that are open.
func (p *plant) alarms() map[string]bool {
	p.t.Helper()
	r, err := p.admin.ListAlarms(p.t.Context(), &taplinev1.ListAlarmsRequest{OpenOnly: true})
	p.must(err)
	kinds := map[string]bool{}
	for _, a := range r.GetAlarms() {
		kinds[a.GetKind()] = true
	}
	return kinds
}

// until polls for what a task of the broker does soon.
func (p *plant) until(what string, ok func() bool) {
	p.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.NewTimer(30 * time.Second)
	defer late.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-late.C:
			p.t.Fatalf("waited in vain: %s", what)
		}
	}
}
