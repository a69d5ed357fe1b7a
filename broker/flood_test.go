package broker

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"tapline/broker/quota"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// unlimited are limits for tests that are no honest callers.
func unlimited() quota.Limits {
	return quota.Limits{TapsPerSecond: -1, CallsPerSecond: -1, EnrolPerSecond: -1, FailuresPerMinute: -1, RecordsPerSecond: -1}
}

// tapTimes taps n times and gives the times that the answers took, sorted.
func (s *hmi) tapTimes(n int) []time.Duration {
	s.t.Helper()
	var times []time.Duration
	for range n {
		begun := time.Now()
		if r := s.open(tap(anna())); !r.GetDecision().GetAllowed() {
			s.t.Fatalf("got %v", r)
		}
		times = append(times, time.Since(begun))
	}
	slices.Sort(times)
	return times
}

// TestTapsGoBeforeUploads lets stations send all they have while one taps. The verdict is a ratio inside one run: against the same flood without
// admission, and against rest.
func TestTapsGoBeforeUploads(t *testing.T) {
	if testing.Short() {
		t.Skip("needs: full suite")
	}
	at := func(times []time.Duration, percent int) time.Duration { return times[(len(times)-1)*percent/100] }
	measure := func(atOnce int) (idle, flooded []time.Duration) {
		p := newPlantWith(t, func(c *Config) { c.Limits = unlimited(); c.Limits.RecordsAtOnce = atOnce })
		p.staff()
		s := p.enrol(press)
		idle = s.tapTimes(100)
		ctx, stop := context.WithCancel(t.Context())
		var flood errgroup.Group
		for i := range 8 {
			sender := p.enrol("plant/press/line-4/flood-" + string(rune('a'+i)))
			batch := sender.write(900)
			flood.Go(func() error { return sender.pour(ctx, batch) })
		}
		flooded = s.tapTimes(100)
		stop()
		if err := flood.Wait(); err != nil {
			t.Error(err)
		}
		p.stop()
		return idle, flooded
	}
	idle, with := measure(0)
	_, without := measure(-1)
	for _, percent := range []int{50, 99} {
		t.Logf("p%d of a tap: at rest %s, in the flood %s, without admission %s", percent, at(idle, percent), at(with, percent), at(without, percent))
	}
	// The median judges: of a hundred taps the 99th percentile is the slowest one, and that is the machine's.
	if m := at(with, 50); m > 2*at(without, 50) && m > 20*at(idle, 50) {
		t.Errorf("a tap waits behind uploads: median %s in the flood, %s at rest, %s without admission", m, at(idle, 50), at(without, 50))
	}
}

// pour sends the same batch again and again, in small pieces: what is stored already is checked and acknowledged all the same.
func (s *hmi) pour(ctx context.Context, batch [][]byte) error {
	stream, err := s.client.StreamRecords(ctx)
	if err != nil {
		return err
	}
	for first := record.Seq(1); ctx.Err() == nil; {
		err := stream.Send(&taplinev1.StreamRecordsRequest{Chain: s.keys.chain, FirstSeq: uint64(first), Records: batch[first-1 : first+99]})
		if err == nil {
			_, err = stream.Recv()
		}
		switch {
		case ctx.Err() != nil || errors.Is(err, io.EOF) && ctx.Err() != nil:
			return nil
		case wire.KindOf(err) == wire.Busy:
			if stream, err = s.client.StreamRecords(ctx); err != nil {
				return nil
			}
			continue
		case err != nil:
			return err
		}
		if first += 100; int(first) > len(batch) {
			first = 1
		}
	}
	return nil
}
