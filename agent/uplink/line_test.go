package uplink

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"tapline/agent/brokertest"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

func (s *station) open(within time.Duration) (*taplinev1.OpenSessionResponse, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), within)
	defer cancel()
	return s.up.OpenSession(ctx, &taplinev1.OpenSessionRequest{Session: "s1"})
}

// counting counts the taps that reach the broker.
func (s *station) counting() *atomic.Int64 {
	var n atomic.Int64
	s.broker.Open = func(*taplinev1.OpenSessionRequest) *taplinev1.OpenSessionResponse {
		n.Add(1)
		return &taplinev1.OpenSessionResponse{Decision: &taplinev1.Decision{Allowed: true}}
	}
	return &n
}

func TestABlackHoleCostsOneTapItsDeadlineAndTheNextNothing(t *testing.T) {
	cable := listen(t, nil)
	s := newStation(t, cable)
	asked := s.counting()
	s.run()
	until(t, "a line", s.up.Connected)
	if answer, err := s.open(time.Minute); err != nil || !answer.GetDecision().GetAllowed() {
		t.Fatalf("with a line: %v, %v", answer, err)
	}
	cable.silent.Store(true)
	if _, err := s.open(50 * time.Millisecond); wire.KindOf(err) != wire.Deadline {
		t.Fatalf("the first tap into the black hole: %v, want a deadline", err)
	}
	if s.up.Connected() {
		t.Fatal("after the deadline the line still counts as there")
	}
	for range 100 { // with a deadline that would let a probe show: an hour
		if _, err := s.open(time.Hour); !errors.Is(err, ErrAway) || wire.KindOf(err) != wire.Unavailable {
			t.Fatalf("the next tap: %v, want ErrAway", err)
		}
	}
	cable.silent.Store(false)
	cable.cutAll()
	until(t, "the line again", s.up.Connected)
	if _, err := s.open(time.Minute); err != nil {
		t.Errorf("after the line came back: %v", err)
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("%d taps reached the broker, want 2", n)
	}
}

func TestACutLineIsNoticedWithoutATap(t *testing.T) {
	cable := listen(t, nil)
	s := newStation(t, cable)
	states := make(chan State, 1000)
	s.cfg.OnState = func(st State) { states <- st }
	s.run()
	until(t, "a line", s.up.Connected)
	cable.cutAll()
	for st := range states {
		if !st.Connected && st.Reason != "not dialled yet" && st.Broker != "" {
			return
		}
	}
}

func TestARefusalByTheBrokerDoesNotEndTheLine(t *testing.T) {
	s := newStation(t)
	s.run()
	until(t, "a line", s.up.Connected)
	before := s.up.line.Load()
	if answer, err := s.open(time.Minute); err != nil || answer.GetDecision().GetAllowed() {
		t.Errorf("got %v, %v", answer, err)
	}
	if s.up.line.Load() != before {
		t.Error("the line was made anew")
	}
}

func TestAWaitThatTheCallerGivesUpDoesNotEndTheLine(t *testing.T) {
	s := newStation(t)
	s.run()
	until(t, "a line", s.up.Connected)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.up.OpenSession(ctx, &taplinev1.OpenSessionRequest{}); wire.KindOf(err) != wire.Cancelled {
		t.Errorf("got %v", err)
	}
	if !s.up.Connected() {
		t.Error("the line is gone")
	}
}

func TestWhenOneBrokerGoesTheOtherTakesOver(t *testing.T) {
	first, second := listen(t, nil), listen(t, nil)
	s := newStation(t, first, second)
	s.run()
	until(t, "a line to the first", func() bool { return s.up.Connected() && s.up.State().Broker == first.Addr().String() })
	s.journal.write(10)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	first.cutAll()
	until(t, "a line to the second", func() bool { return s.up.Connected() && s.up.State().Broker == second.Addr().String() })
	s.journal.write(10)
	until(t, "receipts", s.allAcked)
	s.mustHoldAll()
}

func TestANewCertificateMakesANewLine(t *testing.T) {
	s := newStation(t)
	s.run()
	until(t, "a line", s.up.Connected)
	before := s.up.line.Load()
	if err := s.id.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "another line", func() bool { l := s.up.line.Load(); return l != nil && l != before })
}

func TestAStationThatIsNotLetInSaysWhy(t *testing.T) {
	foreign := newStation(t)
	for _, row := range []struct {
		name  string
		spoil func(s *station)
		says  wire.Kind
	}{
		{"a certificate by a foreign CA", func(s *station) {
			s.cfg.TLS = foreign.cfg.TLS.Clone()
			s.cfg.TLS.VerifyConnection = s.id.TLS().VerifyConnection
		}, wire.Unauthenticated},
		{"a broker under a foreign root", func(s *station) { s.cfg.TLS = foreign.cfg.TLS }, wire.Unavailable},
		{"a station that was revoked", func(s *station) {
			s.broker.Change(press, func(known *brokertest.Station) { known.Revoked = true })
		}, wire.Denied},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newStation(t)
			row.spoil(s)
			u := New(s.cfg)
			err := u.hold(t.Context(), s.cfg.Brokers()[0])
			if wire.KindOf(err) != row.says || u.Connected() || u.State().Reason == "" {
				t.Errorf("got %v (%s), connected %v, reason %q", err, wire.KindOf(err), u.Connected(), u.State().Reason)
			}
		})
	}
}

func TestThePausesGrowToTheirLimitAndNoFurther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var dials []time.Time
		u := New(Config{
			Brokers: func() []string { return []string{"a.test:1", "b.test:1"} }, TLS: wire.PinnedTLS(wire.Pin{}, time.Now),
			Journal: &journal{t: t, appended: make(chan struct{})}, EvidenceKey: func() record.PublicKey { return record.PublicKey{} },
			DialOptions: []grpc.DialOption{grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
				mu.Lock()
				defer mu.Unlock()
				dials = append(dials, time.Now())
				return nil, errors.New("no network")
			})},
		})
		ctx, cancel := context.WithCancel(t.Context())
		var group errgroup.Group
		group.Go(func() error { return u.Run(ctx) })
		<-time.After(time.Hour)
		cancel()
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		longest := time.Duration(0)
		for i := 1; i < len(dials); i++ {
			longest = max(longest, dials[i].Sub(dials[i-1]))
		}
		if first := dials[1].Sub(dials[0]); first > time.Second {
			t.Errorf("the second attempt came after %v", first)
		}
		if longest < 10*time.Second || longest > 25*time.Second {
			t.Errorf("the longest pause was %v, want about 15 s", longest)
		}
		if len(dials) > 600 {
			t.Errorf("%d attempts in an hour", len(dials))
		}
	})
}
