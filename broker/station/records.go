package station

import (
	"context"
	"errors"
	"io"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/broker/gate"
	"tapline/broker/ingest"
	"tapline/proto/record"
	"tapline/proto/wire"
)

// errStopping ends streams when the broker stops; stations come back.
func errStopping() error { return wire.E(wire.Unavailable, "the broker is stopping; come back") }

// receive reads a stream into a channel until it ends, and gives the reason to the group.
func receive[T any](ctx context.Context, g *errgroup.Group, recv func() (T, error)) <-chan T {
	in := make(chan T)
	g.Go(func() error {
		defer close(in)
		for {
			m, err := recv()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			select {
			case in <- m:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	})
	return in
}

// StreamRecords takes records in, batch by batch, and answers each with a receipt.
func (s *Service) StreamRecords(stream grpc.BidiStreamingServer[taplinev1.StreamRecordsRequest, taplinev1.StreamRecordsResponse]) error {
	station := gate.Station(stream.Context())
	ctx, cancel := context.WithCancelCause(stream.Context())
	var reading errgroup.Group
	in := receive(ctx, &reading, stream.Recv)
	check := time.NewTicker(checkEvery)
	defer check.Stop()
	for {
		select {
		case <-s.Stopping:
			cancel(errStopping())
			return errStopping() // the reader ends with the stream
		case <-check.C: // a stream on which nothing comes is cut too
			if _, err := s.Gate.Check(ctx, taplinev1.StationService_StreamRecords_FullMethodName); err != nil {
				cancel(err)
				return err
			}
		case req, ok := <-in:
			if !ok {
				cancel(nil)
				return reading.Wait()
			}
			if err := s.take(ctx, station, req, stream); err != nil {
				cancel(err)
				return err
			}
		}
	}
}

// take takes one batch.
func (s *Service) take(ctx context.Context, station record.StationID, req *taplinev1.StreamRecordsRequest,
	stream grpc.ServerStreamingServer[taplinev1.StreamRecordsResponse],
) error {
	if _, err := s.Gate.Check(ctx, taplinev1.StationService_StreamRecords_FullMethodName); err != nil {
		return err
	}
	leave, err := s.Quota.Upload(ctx, station, len(req.GetRecords()))
	if err != nil {
		return err
	}
	defer leave()
	e, r, err := s.Ingest.Take(ctx, ingest.Batch{
		Station: station, Chain: record.ChainID(req.GetChain()), First: record.Seq(req.GetFirstSeq()), Records: req.GetRecords(),
	})
	if err != nil {
		return err
	}
	return stream.Send(&taplinev1.StreamRecordsResponse{
		Receipt: e.Bytes(), AckedSeq: uint64(r.Seq), BrokerTime: timestamppb.New(s.Now()),
	})
}
