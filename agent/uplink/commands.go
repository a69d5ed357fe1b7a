package uplink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// commandQueue is how many commands may wait while one is carried out; beyond it the stream waits.
const commandQueue = 16

// commands runs the command stream of a line: beats and results out, commands in.
func (l *line) commands(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return l.mustAnswer(ctx) })
	group.Go(func() error {
		stream, err := l.client.StreamCommands(ctx) // waits for the connection
		if err != nil {
			return err
		}
		s := &commandStream{
			line: l, stream: stream, interval: make(chan time.Duration, 1),
			todo: make(chan *taplinev1.StreamCommandsResponse, commandQueue), results: make(chan *taplinev1.CommandResult, commandQueue),
		}
		group.Go(func() error { return s.send(ctx) })
		group.Go(func() error { return s.work(ctx) })
		return s.receive(ctx)
	})
	if err := group.Wait(); err != nil {
		return fmt.Errorf("command stream: %w", err)
	}
	return nil
}

type commandStream struct {
	line     *line
	stream   taplinev1.StationService_StreamCommandsClient
	interval chan time.Duration
	todo     chan *taplinev1.StreamCommandsResponse
	results  chan *taplinev1.CommandResult
}

// errNoAnswer is a broker that takes the stream and says nothing.
var errNoAnswer = wire.E(wire.Deadline, "the broker does not answer")

func (l *line) mustAnswer(ctx context.Context) error {
	timer := time.NewTimer(l.u.cfg.Timing.Answer)
	defer timer.Stop()
	select {
	case <-l.up:
		return nil
	case <-timer.C:
		return errNoAnswer
	case <-ctx.Done():
		return nil
	}
}

// send owns the sending side.
func (s *commandStream) send(ctx context.Context) error {
	if err := s.beat(); err != nil {
		return err
	}
	ticker := time.NewTicker(s.line.u.cfg.Timing.Beat)
	defer ticker.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case every := <-s.interval:
			ticker.Reset(every)
		case <-ticker.C:
			err = s.beat()
		case r := <-s.results:
			err = s.stream.Send(&taplinev1.StreamCommandsRequest{What: &taplinev1.StreamCommandsRequest_Result{Result: r}})
		}
		if err != nil {
			return ignoreEOF(err)
		}
	}
}

// ignoreEOF leaves the reason of a broken stream to the receiving side, which has it.
func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (s *commandStream) beat() error {
	return ignoreEOF(s.stream.Send(&taplinev1.StreamCommandsRequest{What: &taplinev1.StreamCommandsRequest_Beat{Beat: s.line.u.cfg.Beat()}}))
}

// receive owns the receiving side. It always ends with an error: a broker that ends the stream in order is away too.
func (s *commandStream) receive(ctx context.Context) error {
	for {
		m, err := s.stream.Recv()
		if err != nil {
			return err
		}
		s.line.answer()
		if t := m.GetBrokerTime(); t != nil {
			s.line.u.cfg.OnTime(t.AsTime())
		}
		if !s.notice(m) {
			select {
			case s.todo <- m:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
}

// notice handles what is the line's own business.
func (s *commandStream) notice(m *taplinev1.StreamCommandsResponse) bool {
	switch what := m.GetWhat().(type) {
	case *taplinev1.StreamCommandsResponse_BeatInterval:
		if every := what.BeatInterval.AsDuration(); every >= time.Second {
			select {
			case s.interval <- every:
			default:
			}
		}
	case *taplinev1.StreamCommandsResponse_BundleSequence:
		if what.BundleSequence > s.line.u.cfg.Bundle() {
			select {
			case s.line.bundle <- struct{}{}:
			default:
			}
		}
	case nil:
	default:
		return false
	}
	return true
}

// work carries commands out, one after the other.
func (s *commandStream) work(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case m := <-s.todo:
			r := s.line.u.cfg.OnCommand(ctx, m)
			if m.GetCommand() == "" {
				continue
			}
			if r == nil {
				r = &taplinev1.CommandResult{Reason: "unsupported"}
			}
			r.Command = m.GetCommand()
			select {
			case s.results <- r:
			case <-ctx.Done():
				return nil
			}
		}
	}
}
