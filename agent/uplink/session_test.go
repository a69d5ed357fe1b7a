package uplink

import (
	"context"
	"fmt"
	"testing"
	"time"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

func TestTheEndOfASessionReachesTheBrokerHoweverLongItTakes(t *testing.T) {
	s := newStation(t)
	s.up = New(s.cfg)
	s.up.CloseSession(&taplinev1.CloseSessionRequest{Session: "while away"}, 0)
	if got := s.up.State().Closes; got != 1 {
		t.Errorf("%d session ends wait, want 1", got)
	}
	waiting := s.up.closes.waiting
	s.run()
	s.up.closes.mu.Lock()
	s.up.closes.waiting = append(waiting, s.up.closes.waiting...)
	s.up.closes.mu.Unlock()
	s.up.CloseSession(&taplinev1.CloseSessionRequest{Session: "while connected or not"}, 0)
	until(t, "both session ends", func() bool { return len(s.broker.Closed()) == 2 && s.up.State().Closes == 0 })
}

func TestASessionEndThatARecordHasToldIsNotTold(t *testing.T) {
	s := newStation(t)
	s.journal.write(3)
	stop := s.run()
	until(t, "receipts", s.allAcked)
	stop()
	s.cfg.LastReceipt = s.journal.lastReceipt()
	s.up = New(s.cfg)
	s.up.CloseSession(&taplinev1.CloseSessionRequest{Session: "told"}, 3)
	if c, ok := s.up.closes.next(s.up.State().Acked); ok {
		t.Errorf("%s is still to be told", c.req.GetSession())
	}
}

func TestTheQueueOfSessionEndsIsBounded(t *testing.T) {
	u := New(Config{})
	for i := range maxCloses + 10 {
		u.CloseSession(&taplinev1.CloseSessionRequest{Session: fmt.Sprint(i)}, 0)
	}
	c, ok := u.closes.next(0)
	if n := u.closes.len(); n != maxCloses || !ok || c.req.GetSession() != "10" {
		t.Errorf("%d wait, the oldest is %v", n, c.req)
	}
}

func TestCommandsAreCarriedOutAndAnswered(t *testing.T) {
	s := newStation(t)
	s.broker.Commands = func() []*taplinev1.StreamCommandsResponse {
		return []*taplinev1.StreamCommandsResponse{
			{Command: "c1", What: &taplinev1.StreamCommandsResponse_EndSession{EndSession: &taplinev1.EndSession{Session: "s1"}}},
			{Command: "c2", What: &taplinev1.StreamCommandsResponse_RenewNow{RenewNow: &taplinev1.RenewNow{}}},
		}
	}
	s.cfg.OnCommand = func(_ context.Context, c *taplinev1.StreamCommandsResponse) *taplinev1.CommandResult {
		if c.GetEndSession() != nil {
			return &taplinev1.CommandResult{Done: true}
		}
		return nil
	}
	s.run()
	until(t, "both results", func() bool { return len(s.broker.Results()) == 2 })
	got := s.broker.Results()
	if got[0].GetCommand() != "c1" || !got[0].GetDone() || got[1].GetCommand() != "c2" || got[1].GetReason() != "unsupported" {
		t.Errorf("got %v", got)
	}
	until(t, "a second beat, at the broker's interval", func() bool { return s.broker.Beats() >= 2 })
}

func TestABundleIsFetchedWhenTheLineComesUp(t *testing.T) {
	s := newStation(t)
	s.broker.Bundle = []byte("envelope")
	bundles, times := make(chan string, 10), make(chan time.Time, 1000)
	s.cfg.OnBundle = func(b []byte) error { bundles <- string(b); return nil }
	s.cfg.OnTime = func(b time.Time) { times <- b }
	s.run()
	if got := <-bundles; got != "envelope" {
		t.Errorf("got %q", got)
	}
	if drift := time.Since(<-times).Abs(); drift > time.Hour {
		t.Errorf("broker time is %v off", drift)
	}
}

func TestALeaseIsExtended(t *testing.T) {
	s := newStation(t)
	u := New(s.cfg)
	if _, err := u.ExtendSession(t.Context(), &taplinev1.ExtendSessionRequest{}); wire.KindOf(err) != wire.Unavailable {
		t.Errorf("without a line: %v", err)
	}
	s.run()
	until(t, "a line", s.up.Connected)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	answer, err := s.up.ExtendSession(ctx, &taplinev1.ExtendSessionRequest{Session: "s1", Fence: 7})
	if err != nil || answer.GetLease().GetFence() != 7 {
		t.Errorf("got %v, %v", answer, err)
	}
}
