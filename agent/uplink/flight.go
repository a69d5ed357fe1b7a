package uplink

import (
	"context"
	"time"

	"tapline/proto/record"
	"tapline/proto/wire"
)

// errLate ends a stream, and its line, whose broker takes records and gives no receipt.
var errLate = wire.E(wire.Deadline, "the broker gives no receipt")

// takeOff waits for room, then counts a batch that ends with last as in flight.
func (s *recordStream) takeOff(ctx context.Context, last record.Seq) error {
	select {
	case s.room <- struct{}{}:
	case <-s.late:
		return errLate
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flights = append(s.flights, flight{last, time.Now().Add(s.d.u.cfg.Timing.Receipt)})
	s.watch()
	return nil
}

// land makes room for what a receipt covers.
func (s *recordStream) land(seq record.Seq) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.flights) > 0 && s.flights[0].last <= seq {
		s.flights = s.flights[1:]
		s.batch = min(2*s.batch, batchRecords)
		<-s.room
	}
	s.watch()
}

// watch sets the timer for the oldest flight. The caller holds mu.
func (s *recordStream) watch() {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	if len(s.flights) > 0 {
		s.timer = time.AfterFunc(time.Until(s.flights[0].until), s.overdue)
	}
}

func (s *recordStream) overdue() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.flights) == 0 || time.Now().Before(s.flights[0].until) {
		return
	}
	select {
	case <-s.late:
	default:
		close(s.late)
	}
}

// punctual ends the stream when a receipt is overdue.
func (s *recordStream) punctual(ctx context.Context) error {
	select {
	case <-s.late:
		return errLate
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// forget ends the watch.
func (s *recordStream) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flights = nil
	s.watch()
}
