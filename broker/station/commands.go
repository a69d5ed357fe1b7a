package station

import (
	"context"
	"errors"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/broker/alarm"
	"tapline/broker/gate"
	"tapline/broker/news"
	"tapline/broker/store"
	"tapline/proto/record"
	"tapline/proto/wire"
)

const (
	// beatEvery is how often a station is asked to beat.
	beatEvery = 10 * time.Second
	// checkEvery is how often an open stream's certificate is held against the registry: what another broker revoked is cut this soon.
	checkEvery = 2 * time.Second
	// lostAfter is how long a station may be silent before its stream is cut.
	lostAfter = 4 * beatEvery
)

type commandStream = grpc.BidiStreamingServer[taplinev1.StreamCommandsRequest, taplinev1.StreamCommandsResponse]

// StreamCommands carries commands to a station and its beats back.
func (s *Service) StreamCommands(stream commandStream) error {
	station := gate.Station(stream.Context())
	ctx, line, unplug := s.Board.Plug(stream.Context(), station)
	defer unplug()
	var reading errgroup.Group
	in := receive(ctx, &reading, stream.Recv)
	check := time.NewTicker(checkEvery)
	defer check.Stop()
	silent := time.NewTimer(lostAfter)
	defer silent.Stop()
	told := uint64(0) // the version of the trust that this station was told of
	for {
		var err error
		select {
		case <-s.Stopping:
			return errStopping()
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-silent.C:
			return wire.E(wire.Deadline, "no beat for %s", lostAfter)
		case <-check.C:
			_, err = s.Gate.Check(ctx, taplinev1.StationService_StreamCommands_FullMethodName)
		case m := <-line.Out:
			err = s.send(stream, m)
		case req, ok := <-in:
			if !ok {
				return reading.Wait()
			}
			silent.Reset(lostAfter)
			err = s.heard(ctx, station, req, stream, &told)
		}
		if err != nil && ctx.Err() != nil {
			return context.Cause(ctx) // the line was cut meanwhile: that is the reason, not what it broke
		}
		if err != nil {
			return err
		}
	}
}

func (s *Service) send(stream commandStream, m *taplinev1.StreamCommandsResponse) error {
	out := &taplinev1.StreamCommandsResponse{Command: m.GetCommand(), What: m.GetWhat(), BrokerTime: timestamppb.New(s.Now())}
	return stream.Send(out)
}

// heard takes what a station says. Each beat is answered, so that the station knows the broker's time and that somebody listens.
func (s *Service) heard(ctx context.Context, station record.StationID, req *taplinev1.StreamCommandsRequest, stream commandStream, told *uint64) error {
	beat := req.GetBeat()
	if beat == nil {
		return nil // the outcome of a command: what counts is the record of it
	}
	over, err := s.beat(ctx, station, beat)
	if err != nil {
		return err
	}
	if over != nil {
		if err := s.send(stream, over); err != nil {
			return err
		}
	}
	err = s.send(stream, &taplinev1.StreamCommandsResponse{
		What: &taplinev1.StreamCommandsResponse_BeatInterval{BeatInterval: durationpb.New(beatEvery)},
	})
	if err != nil {
		return err
	}
	if v := s.Registrar.Authority.TrustVersion(); beat.GetTrust() < v && *told < v { // once: a station that cannot keep it is not told at each beat
		*told = v
		if err := s.tellTrust(stream); err != nil {
			return err
		}
	}
	return s.offer(ctx, station, beat.GetBundle(), stream)
}

// tellTrust tells a station which roots to trust, when it has an older statement or none.
func (s *Service) tellTrust(stream commandStream) error {
	trust, err := s.Registrar.Trust()
	if err != nil {
		return err
	}
	return s.send(stream, &taplinev1.StreamCommandsResponse{What: &taplinev1.StreamCommandsResponse_Trust{Trust: trust}})
}

// offer tells a station of a bundle that is not the one it has. A quarantined station is offered none. One that is out of date is made aside, because
// commands to the station wait behind this.
func (s *Service) offer(ctx context.Context, station record.StationID, has uint64, stream commandStream) error {
	b, good, err := s.Bundles.Mark(ctx, station)
	switch {
	case wire.KindOf(err) == wire.Precondition:
		return nil
	case err != nil:
		return err
	case !good:
		s.Stale()
		return nil
	case b.Sequence == has:
		return nil
	}
	return s.send(stream, bundleNotice(b.Sequence))
}

func bundleNotice(sequence uint64) *taplinev1.StreamCommandsResponse {
	return &taplinev1.StreamCommandsResponse{What: &taplinev1.StreamCommandsResponse_BundleSequence{BundleSequence: sequence}}
}

// maxBuild bounds a version's name.
const maxBuild = 80

// beat notes that a station lives, and holds its head against what is stored: a journal that has become shorter, or another, was cut or
// restored from a copy. It gives the command that ends the station's session if the lease was ended while the station was away.
func (s *Service) beat(ctx context.Context, station record.StationID, b *taplinev1.StationBeat) (over *taplinev1.StreamCommandsResponse, err error) {
	if len(b.GetBuild()) > maxBuild || len(b.GetSession()) > maxBuild {
		return nil, wire.E(wire.Invalid, "beat.build, beat.session: longer than %d", maxBuild)
	}
	now := s.Now()
	err = s.Store.Update(ctx, func(tx *store.Tx) error {
		l, err := tx.LeaseOf(record.SessionID(b.GetSession()))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err == nil && l.Station == station {
			over = news.EndOf(l)
		}
		if err := tx.SeeStation(station, now, b.GetBundle(), b.GetBuild()); err != nil {
			return err
		}
		if err := s.Registrar.NoteTrust(tx, station, b.GetTrust()); err != nil {
			return err
		}
		c, err := tx.Chain(record.ChainID(b.GetChain()))
		if errors.Is(err, store.ErrNotFound) || err == nil && c.Station != station {
			return wire.E(wire.Denied, "chain %q is not one of station %s", clip(b.GetChain()), station)
		}
		if err != nil {
			return err
		}
		switch seq := record.Seq(b.GetSeq()); {
		case seq < c.Head.Seq:
			return alarm.Raise(tx, alarm.HeadBack, station, now, "the station says that its newest record is %d; %d is stored", seq, c.Head.Seq)
		case seq == c.Head.Seq && seq > 0 && string(b.GetHead()) != string(c.Head.Hash[:]):
			return alarm.Raise(tx, alarm.Fork, station, now, "the station's record %d is not the one that is stored", seq)
		}
		return nil
	})
	return over, err
}

func clip(s string) string { return s[:min(len(s), 80)] }

// Announce makes new bundles for the stations on the line and tells each that does not have it.
func (s *Service) Announce(ctx context.Context) error {
	for _, station := range s.Board.Stations() {
		b, err := s.Bundles.Renew(ctx, station)
		if wire.KindOf(err) == wire.Precondition || errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		s.Board.Tell(station, bundleNotice(b.Sequence))
	}
	return nil
}
