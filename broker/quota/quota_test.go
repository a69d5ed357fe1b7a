package quota

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

func open(method string) bool { return method == taplinev1.StationService_Enrol_FullMethodName }

// from is a call from an address, without a certificate.
func from(ctx context.Context, address string) context.Context {
	return peer.NewContext(ctx, &peer.Peer{Addr: &net.TCPAddr{IP: net.ParseIP(address), Port: 4711}})
}

func enrol(ctx context.Context, g *Guard, answer error) error {
	_, err := g.Unary(ctx, nil, &grpc.UnaryServerInfo{FullMethod: taplinev1.StationService_Enrol_FullMethodName}, func(context.Context, any) (any, error) { return nil, answer })
	return err
}

func TestGuessingIsSlowedAndARollOutIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(Limits{EnrolPerSecond: 50, FailuresPerMinute: 60}, open, time.Now)
		good, evil := from(t.Context(), "192.0.2.1"), from(t.Context(), "192.0.2.2")
		for i := range 400 {
			if err := enrol(good, g, nil); err != nil {
				t.Fatalf("enrolment %d: %v", i, err)
			}
		}
		wrong, refused := wire.E(wire.Unauthenticated, "token unknown"), 0
		for range 200 {
			if wire.KindOf(enrol(evil, g, wrong)) == wire.Busy {
				refused++
			}
		}
		if refused < 130 {
			t.Errorf("of 200 guesses %d were refused", refused)
		}
		err := enrol(evil, g, nil)
		if wire.KindOf(err) != wire.Busy || wire.RetryAfter(err) < time.Second || !strings.Contains(err.Error(), "limits.failures_per_minute") {
			t.Errorf("got %v, come back in %s", err, wire.RetryAfter(err))
		}
		if err := enrol(good, g, nil); err != nil {
			t.Errorf("somebody else: %v", err)
		}
		<-time.After(wire.RetryAfter(err))
		if err := enrol(evil, g, nil); err != nil {
			t.Errorf("after the time that was told: %v", err)
		}
	})
}

func TestAnAddressIsAMachine(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "::1": "::1",
	} {
		if got := addressOf(&net.TCPAddr{IP: net.ParseIP(address), Port: 1}); got != want {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
	}
}

func TestAStationsRecordsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(Limits{RecordsPerSecond: 100, RecordsAtOnce: -1}, open, time.Now)
		sent := 0
		for range 10_000 {
			leave, err := g.Upload(t.Context(), "plant/a/b/1", 50)
			if err == nil {
				leave()
				sent += 50
				continue
			}
			if wire.KindOf(err) != wire.Busy {
				t.Fatal(err)
			}
			if leave, err := g.Upload(t.Context(), "plant/a/b/2", 1); err != nil {
				t.Fatalf("another station: %v", err)
			} else {
				leave()
			}
			if sent >= 2000 {
				break
			}
			timer := time.NewTimer(wire.RetryAfter(err))
			<-timer.C
		}
		if took := time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)); took < 17*time.Second || took > 40*time.Second {
			t.Errorf("%d records took %s at 100 a second", sent, took)
		}
	})
}

func TestTheMemoryOfAGuardIsBounded(t *testing.T) {
	g := New(Limits{}, open, time.Now)
	for i := range 3 * maxBuckets {
		_ = g.take("x", fmt.Sprint(i), 1, 1, 1)
	}
	if n := len(g.buckets); n > maxBuckets {
		t.Errorf("%d buckets", n)
	}
}

// TestNoMoreAreInThanThereIsRoomFor holds admission to its law over random days: no more records inside than there is room for, unless it is one
// batch; less while somebody taps; and everybody gets in.
func TestNoMoreAreInThanThereIsRoomFor(t *testing.T) {
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 7))
			const room = 800
			a := NewAdmission(room, time.Now)
			var mu sync.Mutex
			inside, batches, entered := 0, 0, 0
			var g errgroup.Group
			for range 60 {
				n, begin, stay := r.IntN(400), time.Duration(r.IntN(2000))*time.Millisecond, time.Duration(1+r.IntN(90))*time.Millisecond
				g.Go(func() error {
					<-time.After(begin)
					leave, err := a.Upload(t.Context(), n)
					if err != nil {
						return err
					}
					mu.Lock()
					inside, batches, entered = inside+n, batches+1, entered+1
					if inside > room && batches > 1 {
						t.Errorf("%d records in %d batches", inside, batches)
					}
					mu.Unlock()
					<-time.After(stay)
					mu.Lock()
					inside, batches = inside-n, batches-1
					mu.Unlock()
					leave()
					return nil
				})
			}
			for range 40 {
				begin, stay := time.Duration(r.IntN(2000))*time.Millisecond, time.Duration(r.IntN(150))*time.Millisecond
				g.Go(func() error {
					<-time.After(begin)
					defer a.Tap()()
					<-time.After(stay)
					return nil
				})
			}
			if err := g.Wait(); err != nil || entered != 60 {
				t.Errorf("%d entered, %v", entered, err)
			}
			if records, waiting, taps := a.Load(); records+waiting+taps+a.batches != 0 {
				t.Errorf("left behind: %d records, %d waiting, %d taps", records, waiting, taps)
			}
		})
	}
}

func TestUploadsMakeRoomForATap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAdmission(800, time.Now)
		first, err := a.Upload(t.Context(), 90)
		if err != nil {
			t.Fatal(err)
		}
		answered := a.Tap()
		_, err = a.Upload(t.Context(), 90)
		if wire.KindOf(err) != wire.Busy || wire.RetryAfter(err) == 0 {
			t.Errorf("beside a tap that takes for ever: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := a.Upload(ctx, 90); wire.KindOf(err) != wire.Cancelled {
			t.Errorf("who gave up: %v", err)
		}
		answered()
		if _, err := a.Upload(t.Context(), 90); err != nil { // the tap was slow: a second later
			t.Errorf("after the tap: %v", err)
		}
		first()
		if leave, err := a.Upload(t.Context(), 10_000); err != nil && wire.KindOf(err) != wire.Busy {
			t.Errorf("more than there is room for: %v", err)
		} else if err == nil {
			leave()
		}
	})
}

func TestConnectionsAreCounted(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := make(chan string, 10)
	g := New(Limits{Connections: 5, ConnectionsPerAddress: 3}, open, time.Now)
	g.Refused = func(limit string) { refused <- limit }
	bounded := g.Listen(l)
	accepted := make(chan net.Conn, 10)
	var serving errgroup.Group
	serving.Go(func() error {
		for {
			c, err := bounded.Accept()
			if err != nil {
				return nil
			}
			accepted <- c
		}
	})
	var outside []net.Conn
	dial := func() {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		outside = append(outside, c)
	}
	for range 4 { // who connects and says nothing
		dial()
	}
	if limit := <-refused; limit != "connections" {
		t.Errorf("refused for %s", limit)
	}
	if err := outside[3].SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := outside[3].Read(make([]byte, 1)); err == nil {
		t.Error("the fourth connection was not closed")
	}
	first := <-accepted
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	_ = first.Close() // gives its place back once
	dial()
	<-accepted
	<-accepted
	<-accepted // the new one
	for _, c := range outside {
		_ = c.Close()
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_ = serving.Wait()
}

func TestFaultsOfLimitsNameTheKey(t *testing.T) {
	if err := (Limits{TapsPerSecond: -2}).Check(); err == nil || !strings.Contains(err.Error(), "limits.taps_per_second") {
		t.Errorf("got %v", err)
	}
	if err := (Limits{TapsPerSecond: -1}).Check(); err != nil {
		t.Error(err)
	}
}
