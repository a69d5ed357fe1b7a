package revoke

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"tapline/agent/identity"
	"tapline/agent/keystore"
	"tapline/proto/grant"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// station is an enrolled station with its command stream open.
type station struct {
	id     string
	m      *identity.Manager
	conn   *grpc.ClientConn
	client taplinev1.StationServiceClient

	reading errgroup.Group
	cancel  context.CancelFunc
	heard   chan struct{} // something came; holds one
	mu      sync.Mutex    // guards what follows
	ended   map[string]time.Time
	bundle  uint64    // the newest that was offered
	cut     error     // why the stream ended
	cutAt   time.Time // when
}

// station enrols a station and connects it to a broker.
func (p *plant) station(ctx context.Context, broker int) (*station, error) {
	s := &station{id: fmt.Sprintf("plant/press/line-1/hmi-%d", p.names.Add(1)), heard: make(chan struct{}, 1), ended: map[string]time.Time{}}
	_, err := p.admin.PutStation(ctx, &taplinev1.PutStationRequest{Station: &taplinev1.Station{Id: s.id, Account: account, Mode: taplinev1.Mode_MODE_ATTRIBUTE}})
	if err != nil {
		return nil, err
	}
	made, err := p.admin.CreateToken(ctx, &taplinev1.CreateTokenRequest{Station: s.id})
	if err != nil {
		return nil, err
	}
	token, err := wire.ParseToken(made.GetSecret())
	if err != nil {
		return nil, err
	}
	token.Brokers = []string{p.address[broker]}
	dir := filepath.Join(p.dir, filepath.FromSlash(s.id))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	ks, err := keystore.Open(keystore.Config{Kind: keystore.Files, Dir: filepath.Join(dir, "keys")})
	if err != nil {
		return nil, err
	}
	if s.m, err = identity.Enrol(ctx, filepath.Join(dir, "identity"), ks, token, identity.Options{Build: "revoke"}); err != nil {
		return nil, err
	}
	if s.conn, err = wire.Dial(p.address[broker], s.m.TLS()); err != nil {
		return nil, err
	}
	s.client = taplinev1.NewStationServiceClient(s.conn)
	return s, s.open(ctx)
}

// open opens the command stream and waits until it answers.
func (s *station) open(ctx context.Context) error {
	ctx, s.cancel = context.WithCancel(ctx)
	stream, err := s.client.StreamCommands(ctx)
	if err != nil {
		return err
	}
	id := s.m.Current()
	err = stream.Send(&taplinev1.StreamCommandsRequest{What: &taplinev1.StreamCommandsRequest_Beat{Beat: &taplinev1.StationBeat{
		Chain: string(id.Chain), Trust: id.Trust, JoinSequence: id.JoinSequence, Build: "revoke",
	}}})
	if err != nil {
		return err
	}
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	s.hear(first)
	s.reading.Go(func() error {
		for {
			m, err := stream.Recv()
			if err != nil {
				s.mu.Lock()
				s.cut, s.cutAt = err, time.Now()
				s.mu.Unlock()
				s.nudge()
				return nil
			}
			s.hear(m)
		}
	})
	return nil
}

func (s *station) nudge() {
	select {
	case s.heard <- struct{}{}:
	default:
	}
}

func (s *station) hear(m *taplinev1.StreamCommandsResponse) {
	s.mu.Lock()
	if e := m.GetEndSession(); e != nil {
		s.ended[e.GetSession()] = time.Now()
	}
	s.bundle = max(s.bundle, m.GetBundleSequence())
	s.mu.Unlock()
	s.nudge()
}

// longest is how long anything is waited for.
const longest = 30 * time.Second

// await waits until what was heard is enough.
func (s *station) await(ctx context.Context, what string, enough func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	for {
		s.mu.Lock()
		done := enough()
		s.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-s.heard:
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, ctx.Err())
		}
	}
}

func (s *station) close() error {
	s.cancel()
	return errors.Join(s.reading.Wait(), s.conn.Close())
}

// tap taps a badge in and gives the session, and whether it was allowed.
func (s *station) tap(ctx context.Context, number []byte) (string, bool, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", false, err
	}
	r, err := s.client.OpenSession(ctx, &taplinev1.OpenSessionRequest{Session: id.String(), Badge: proof(number), Mode: taplinev1.Mode_MODE_ATTRIBUTE, Reader: "simulated"})
	return id.String(), r.GetDecision().GetAllowed(), err
}

// grants says whether the station's newest bundle has grants for a person.
func (s *station) grants(ctx context.Context, person string) (bool, error) {
	r, err := s.client.FetchBundle(ctx, &taplinev1.FetchBundleRequest{})
	if err != nil {
		return false, err
	}
	e, err := record.ParseEnvelope(r.GetBundle())
	if err != nil {
		return false, err
	}
	var b grant.Bundle
	if err := json.Unmarshal(e.PayloadBytes(), &b); err != nil {
		return false, err
	}
	return slices.ContainsFunc(b.Grants, func(g grant.Grant) bool { return string(g.Person.ID) == person && g.Refusal == "" }), nil
}
