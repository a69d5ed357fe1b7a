package broker

import (
	"errors"
	"io"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// other is a second broker on the plant's store.
func (p *plant) other() *plant {
	p.t.Helper()
	q := &plant{t: p.t, clock: p.clock, cfg: p.cfg}
	q.cfg.Listen, q.cfg.Brokers = freeAddress(p.t), nil
	p.must(q.cfg.fill())
	q.start()
	return q
}

// at is the station's line to another broker.
func (s *hmi) at(p *plant) *hmi {
	s.t.Helper()
	moved := *s
	moved.plant = p
	moved.connect()
	return &moved
}

func TestAStationThatIsRevokedAtOneBrokerIsCutOffAtTheOther(t *testing.T) {
	p := newPlant(t)
	p.staff()
	s := p.enrol(press).at(p.other())
	records, err := s.client.StreamRecords(t.Context())
	p.must(err)
	p.must(records.Send(&taplinev1.StreamRecordsRequest{Chain: s.keys.chain})) // an empty batch asks for the newest receipt
	if _, err := records.Recv(); err != nil {
		t.Fatal(err)
	}
	commands, err := s.client.StreamCommands(t.Context())
	p.must(err)
	begun := time.Now()
	_, err = p.admin.RevokeStation(t.Context(), &taplinev1.RevokeStationRequest{Id: press, Reason: "stolen"})
	p.must(err)
	var both errgroup.Group
	for name, recv := range map[string]func() error{
		"records":  func() error { _, err := records.Recv(); return err },
		"commands": func() error { _, err := commands.Recv(); return err },
	} {
		both.Go(func() error {
			var err error
			for err == nil {
				err = recv()
			}
			refused(t, err, wire.Denied, "revoked")
			if took := time.Since(begun); took > 5*time.Second {
				t.Errorf("%s: cut off after %s", name, took)
			}
			return nil
		})
	}
	p.must(both.Wait())
}

func TestANonceOfOneBrokerIsGoodAtTheOther(t *testing.T) {
	p := newPlant(t)
	p.staff()
	s := p.enrol(press)
	nonce := s.challenge()
	id, err := s.at(p.other()).recover(s.keys.identity, nonce)
	p.must(err)
	if id.GetJoinSequence() != 2 {
		t.Errorf("sequence %d, want 2", id.GetJoinSequence())
	}
	_, err = s.recover(s.keys.identity, nonce)
	refused(t, err, wire.Unauthenticated, "nonce")
}

func TestAStationOnTheLineHearsOfANewRootAndTheOldOneWaitsForIt(t *testing.T) {
	p := newPlant(t)
	p.staff()
	s := p.enrol(press)
	stream, err := s.client.StreamCommands(t.Context())
	p.must(err)
	beat := func(trust uint64) {
		p.must(stream.Send(&taplinev1.StreamCommandsRequest{What: &taplinev1.StreamCommandsRequest_Beat{
			Beat: &taplinev1.StationBeat{Chain: s.keys.chain, Trust: trust},
		}}))
	}
	hear := func() *taplinev1.TrustUpdate {
		for {
			m, err := stream.Recv()
			if errors.Is(err, io.EOF) || err != nil {
				t.Fatal(err)
			}
			if u := m.GetTrust(); u != nil {
				return u
			}
		}
	}
	beat(0)
	if u := hear(); len(u.GetRoots()) != 1 || len(u.GetStatement()) == 0 {
		t.Fatalf("told of %d roots", len(u.GetRoots()))
	}
	r, err := p.admin.RotateAuthority(t.Context(), &taplinev1.RotateAuthorityRequest{Step: "init"})
	p.must(err)
	if u := hear(); len(u.GetRoots()) != 2 {
		t.Errorf("told of %d roots, want 2", len(u.GetRoots()))
	}
	_, err = p.admin.RotateAuthority(t.Context(), &taplinev1.RotateAuthorityRequest{Step: "issue"})
	refused(t, err, wire.Precondition, "force")
	_, err = p.admin.RotateAuthority(t.Context(), &taplinev1.RotateAuthorityRequest{Step: "issue", Force: true})
	p.must(err)
	p.clock.advance(100 * 24 * time.Hour)
	_, err = p.admin.RotateAuthority(t.Context(), &taplinev1.RotateAuthorityRequest{Step: "retire"})
	refused(t, err, wire.Unauthenticated, "expired") // so is the administrator's certificate, by now
	p.clock.advance(-100 * 24 * time.Hour)
	_, err = p.admin.RotateAuthority(t.Context(), &taplinev1.RotateAuthorityRequest{Step: "retire"})
	refused(t, err, wire.Precondition, "force")
	beat(r.GetAuthority().GetTrust())
	s.renew() // its certificate is from the new root, and it believes the broker by either
	s.open(tap(anna()))
	for { // until the broker has taken the beat
		a, err := p.admin.GetAuthority(t.Context(), &taplinev1.GetAuthorityRequest{})
		p.must(err)
		if len(a.GetUnaware()) == 0 {
			break
		}
	}
	_, err = p.admin.RotateAuthority(t.Context(), &taplinev1.RotateAuthorityRequest{Step: "retire", Force: true})
	p.must(err)
	if len(p.enrol(packing).identity.GetRoots()) != 1 {
		t.Error("a station that enrols now is told of the old root")
	}
	if _, err := readRoots(filepath.Join(p.cfg.Data, "admin", "roots.pem")); err != nil {
		t.Error(err)
	}
}
