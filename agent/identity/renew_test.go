package identity

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"tapline/agent/statefile/statefiletest"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// running runs m's renewals until the returned function is called.
func running(t *testing.T, m *Manager) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var group errgroup.Group
	group.Go(func() error { return m.Run(ctx) })
	return func() {
		cancel()
		if err := group.Wait(); err != nil {
			t.Error(err)
		}
	}
}

// wait lets time pass.
func wait(d time.Duration) { <-time.After(d) }

func TestAStationStaysGoodForAYear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		m := s.enrol(s.broker.Token(press, address))
		stop := running(t, m)
		for range 365 {
			wait(day)
			if id := m.Current(); !time.Now().Before(id.NotAfter.Add(-2 * day)) {
				t.Fatalf("at %v the certificate is good until %v only", time.Now(), id.NotAfter)
			}
		}
		stop()
		if join := m.Current().JoinSequence; join < 90 || join > 120 {
			t.Errorf("a year took %d certificates, want one each 3.5 days or so", join)
		}
		s.mustWork(m)
		mustHaveNoLeftovers(t, s.dir)
	})
}

func TestLostRequestsAndLostAnswersNeverLockAStationOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		m := s.enrol(s.broker.Token(press, address))
		chance := rand.New(rand.NewPCG(1, 2))
		s.cut = func(call func() error) error {
			switch n := chance.IntN(10); n {
			case 0:
				return wire.E(wire.Unavailable, "request lost")
			case 1:
				return errors.Join(wire.E(wire.Unavailable, "answer lost"), call())
			}
			return call()
		}
		for range 80 {
			stop := running(t, m)
			wait(5 * day)
			stop()
			if chance.IntN(3) == 0 { // the machine starts again, maybe with an open request
				m = s.load()
			}
			if time.Now().After(m.Current().NotAfter) {
				t.Fatalf("the station is out: %v", m.Trouble())
			}
		}
		if s.broker.Station(press).Quarantined {
			t.Error("the station was taken for a clone")
		}
	})
}

func TestRenewalSurvivesACrashAtEveryStep(t *testing.T) {
	statefiletest.EachCrash(t, func(t *testing.T, disk *statefiletest.Disk, dir string) {
		s := newSite(t)
		s.dir = dir
		s.enrol(s.broker.Token(press, address))
		s.crashing(disk)
		if ks, err := s.keys(); err == nil {
			m, err := Load(filepath.Join(dir, "identity"), ks, s.options())
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Renew(t.Context()); err != nil && !errors.Is(err, statefiletest.ErrCrash) {
				t.Fatal(err)
			}
		}
		s.healthy()
		m := s.load()
		if err := m.Renew(t.Context()); err != nil {
			t.Fatalf("renew after the crash: %v", err)
		}
		s.mustWork(m)
		mustHaveNoLeftovers(t, dir)
	})
}

func TestACopiedDiskIsFoundOut(t *testing.T) {
	s := newSite(t)
	m := s.enrol(s.broker.Token(press, address))
	copied := newSite(t)
	copied.broker = s.broker
	if err := os.CopyFS(copied.dir, os.DirFS(s.dir)); err != nil {
		t.Fatal(err)
	}
	if err := m.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The broker still honours the certificate before the newest, so the clone gets as far as the join sequence.
	clone := copied.load()
	if err := clone.Renew(t.Context()); !errors.Is(err, ErrClone) || clone.Condition() != "identity-cloned" {
		t.Errorf("the clone got %v, condition %q", err, clone.Condition())
	}
	if !s.broker.Station(press).Quarantined {
		t.Error("the station is not quarantined")
	}
}

func TestAStationComesBackByItselfAfterALongAbsence(t *testing.T) {
	for _, row := range []struct {
		name string
		away time.Duration
		want error
	}{
		{"after a holiday", 30 * day, nil},
		{"after half a year", 180 * day, nil},
		{"not after two years, until an administrator approves", 730 * day, ErrApproval},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t)
				s.enrol(s.broker.Token(press, address))
				wait(row.away)
				m := s.load()
				if m.Condition() != "identity-expired" {
					t.Errorf("condition %q, want identity-expired", m.Condition())
				}
				stop := running(t, m)
				defer stop()
				wait(time.Minute)
				if row.want != nil {
					if !errors.Is(m.Trouble(), row.want) || m.Condition() != "identity-needs-approval" {
						t.Errorf("trouble %v, condition %q", m.Trouble(), m.Condition())
					}
					s.broker.Change(press, setApproved)
					wait(time.Hour)
				}
				if m.Trouble() != nil || m.Condition() != "" {
					t.Errorf("trouble %v, condition %q", m.Trouble(), m.Condition())
				}
			})
		})
	}
}

func TestTheLineComesBackWithinAMinuteHoweverLongItWasDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.broker.Life = day
		m := s.enrol(s.broker.Token(press, address))
		var up atomic.Bool
		s.cut = func(call func() error) error {
			if up.Load() {
				return call()
			}
			return wire.E(wire.Unavailable, "no network")
		}
		stop := running(t, m)
		defer stop()
		wait(3 * day)
		if m.Condition() != "identity-expired" {
			t.Fatalf("condition %q", m.Condition())
		}
		up.Store(true)
		wait(time.Minute)
		if m.Condition() != "" {
			t.Errorf("a minute after the network came back: %q, %v", m.Condition(), m.Trouble())
		}
	})
}

func TestARevokedStationSaysSo(t *testing.T) {
	s := newSite(t)
	m := s.enrol(s.broker.Token(press, address))
	s.broker.Change(press, setRevoked)
	if err := m.Renew(t.Context()); !errors.Is(err, ErrRevoked) || m.Condition() != "identity-revoked" {
		t.Errorf("got %v, condition %q", err, m.Condition())
	}
}

func TestAClockThatLostItsBatteryDoesNotLockTheStationOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		m := s.enrol(s.broker.Token(press, address))
		wait(day)
		m.ObserveTime(s.broker.Now())
		s.now = func() time.Time { return time.Now().AddDate(-20, 0, 0) }
		m = s.load()
		wait(5 * day)
		if drift := time.Since(m.Now()).Abs(); drift > time.Minute {
			t.Errorf("trusted time is %v off", drift)
		}
		s.mustWork(m)
	})
}

func TestAWildBrokerTimeIsNotBelieved(t *testing.T) {
	s := newSite(t)
	m := s.enrol(s.broker.Token(press, address))
	m.ObserveTime(time.Now().AddDate(70, 0, 0))
	if ahead := time.Until(m.Now()); ahead > time.Minute {
		t.Errorf("trusted time is %v ahead", ahead)
	}
}

func TestNewTrustIsKept(t *testing.T) {
	s := newSite(t)
	m := s.enrol(s.broker.Token(press, address))
	changed := m.Changed()
	if err := m.ApplyTrust(&taplinev1.TrustUpdate{Brokers: []string{"localhost:1", address}}); err == nil {
		t.Error("a trust that nobody signed is believed")
	}
	old, err := s.broker.Trust(1, "localhost:2")
	if err != nil || m.ApplyTrust(old) != nil || m.Current().Brokers[0] == "localhost:2" {
		t.Errorf("a statement that is not newer: %v, brokers %q", err, m.Current().Brokers)
	}
	update, err := s.broker.Trust(2, "localhost:1", address)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.ApplyTrust(update); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
	default:
		t.Error("nobody was told")
	}
	if got := s.load().Current().Brokers; len(got) != 2 || got[1] != address {
		t.Errorf("got brokers %q", got)
	}
	s.mustWork(m)
}
