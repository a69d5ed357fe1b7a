package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"tapline/broker/quota"
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

// flood is how many stations come back at the same moment with how much: what a plant sends once its broker is back.
const (
	floodStations = 60
	floodRecords  = 900 // of each, in batches of a hundred
)

// TestTapsGoBeforeUploads has stations send what they gathered while one taps. The verdict is a ratio inside one run, against the same flood without
// admission, over rounds that alternate: without it a tap waits for thousands of records that stand before it in the store's queue.
func TestTapsGoBeforeUploads(t *testing.T) {
	if testing.Short() {
		t.Skip("needs: full suite")
	}
	var with, without []time.Duration
	for round := 0; round == 0 || round < 3 && at(without, 50) < 2*at(with, 50); round++ { // more than one only on a machine that is busy elsewhere
		with = append(with, flooded(t, 0)...)
		without = append(without, flooded(t, -1)...)
		slices.Sort(with)
		slices.Sort(without)
	}
	for _, percent := range []int{50, 90} {
		t.Logf("p%d of a tap in the flood: %s, without admission %s (%d and %d taps)", percent, at(with, percent), at(without, percent), len(with), len(without))
	}
	if at(without, 50) < 2*at(with, 50) {
		t.Errorf("admission is no help: the median of a tap is %s with it and %s without", at(with, 50), at(without, 50))
	}
}

func at(sorted []time.Duration, percent int) time.Duration {
	return sorted[(len(sorted)-1)*percent/100]
}

// flooded gives the times that taps took until the flood was over.
func flooded(t *testing.T, atOnce int) []time.Duration {
	t.Helper()
	p := newPlantWith(t, func(c *Config) { c.Limits = unlimited(); c.Limits.RecordsAtOnce = atOnce })
	defer p.stop()
	p.staff()
	s := p.enrol(press)
	var senders [floodStations]*hmi
	var gathered [floodStations][][]byte
	for i := range senders {
		senders[i] = p.enrol(fmt.Sprintf("plant/press/line-4/flood-%d", i))
		gathered[i] = senders[i].write(floodRecords)
	}
	s.tapTimes(3)
	var flood errgroup.Group
	for i, sender := range senders {
		flood.Go(func() error { return sender.pour(t.Context(), gathered[i]) })
	}
	over := make(chan struct{})
	var ended error
	var waiting sync.WaitGroup
	waiting.Go(func() { defer close(over); ended = flood.Wait() })
	defer waiting.Wait()
	var times []time.Duration
	for {
		took := s.tapTimes(1)
		select {
		case <-over: // nobody can say how much of the last one was in the flood
			if ended != nil {
				t.Fatal(ended)
			}
			return times
		default:
			times = append(times, took...)
		}
	}
}

// pour sends records in batches, as fast as they are taken, and comes back with what was not.
func (s *hmi) pour(ctx context.Context, records [][]byte) error {
	const batch = 100
	for first := 1; first <= len(records); {
		stream, err := s.client.StreamRecords(ctx)
		if err != nil {
			return err
		}
		for from := first; from <= len(records); from += batch {
			err := stream.Send(&taplinev1.StreamRecordsRequest{Chain: s.keys.chain, FirstSeq: uint64(from), Records: records[from-1 : from-1+batch]})
			if err != nil && !errors.Is(err, io.EOF) { // EOF: refused already, and Recv says why
				return err
			}
		}
		for first <= len(records) {
			m, err := stream.Recv()
			if wire.KindOf(err) == wire.Busy {
				break
			}
			if err != nil {
				return err
			}
			first = int(m.GetAckedSeq()) + 1
		}
	}
	return nil
}
