package identity

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// off is the machine's clock when it is off by d. It has no monotonic reading.
func off(d time.Duration) func() time.Time {
	return func() time.Time { return time.Now().Round(0).Add(d) }
}

// mustBeRight wants the station to have a good certificate and to know what time it is.
func mustBeRight(t *testing.T, m *Manager) {
	t.Helper()
	if m.Condition() != "" || m.Trouble() != nil {
		t.Fatalf("condition %q, trouble %v", m.Condition(), m.Trouble())
	}
	if drift := time.Since(m.Now()).Abs(); drift > 5*time.Minute {
		t.Errorf("trusted time is off by %s", drift)
	}
}

func TestNoClockOfTheMachineKeepsAStationAway(t *testing.T) {
	const year = 365 * day
	for _, wrong := range []time.Duration{-20 * year, -3 * day, 3 * day, 40 * day, 9 * year} {
		for _, away := range []time.Duration{time.Hour, 60 * day} {
			t.Run(fmt.Sprintf("off by %d days after %d days away", int(wrong.Hours()/24), int(away.Hours()/24)), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newSite(t)
					m := s.enrol(s.broker.Token(press, address))
					m.ObserveTime(time.Now())
					wait(away)
					s.now = off(wrong)
					m = s.load()
					stop := running(t, m)
					defer stop()
					m.Doubt() // what the line does when it is refused
					wait(time.Minute)
					mustBeRight(t, m)
					before := m.Current().JoinSequence
					wait(2 * day)
					if n := m.Current().JoinSequence - before; n > 2 {
						t.Errorf("it renewed %d times in two days", n)
					}
				})
			})
		}
	}
}

func TestABrokersClockThatWasWrongForADayDoesNotKeepAStationAway(t *testing.T) {
	for _, wrong := range []time.Duration{-400 * day, -2 * day, 2 * day, 400 * day} {
		t.Run(fmt.Sprintf("off by %d days", int(wrong.Hours()/24)), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t)
				s.broker.MaxAway = 1000 * day
				var ahead atomic.Int64 // of the broker's clock
				s.broker.Now = func() time.Time { return off(time.Duration(ahead.Load()))() }
				m := s.enrol(s.broker.Token(press, address))
				stop := running(t, m)
				defer stop()
				wait(day)
				ahead.Store(int64(wrong))
				m.ObserveTime(s.broker.Now())
				m.RenewNow()
				wait(day)
				ahead.Store(0)
				m.Doubt() // the broker refuses our certificate, or we its
				wait(2 * time.Minute)
				mustBeRight(t, m)
				wait(10 * day)
				mustBeRight(t, m)
			})
		})
	}
}
