package session_test

import (
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/store"
)

func TestAPINThatIsRightIsAFactor(t *testing.T) {
	p := newPlant(t)
	p.rules(needsPIN)
	p.pin("p-1", "2468")
	p.refused(press, tap(annas), "PIN_NEEDED")
	p.refused(press, withPIN(tap(annas), "1357"), "PIN_WRONG")
	r := p.allowed(press, withPIN(tap(annas), "2468"))
	if len(r.GetFactors()) != 2 || r.GetFactors()[1] != taplinev1.Factor_FACTOR_PIN {
		t.Errorf("the factors are %v", r.GetFactors())
	}
}

func TestWrongPINsLockForLongerAndLonger(t *testing.T) {
	p := newPlant(t)
	p.pin("p-1", "2468")
	wrong := func() *taplinev1.OpenSessionRequest { return withPIN(tap(annas), "1357") }
	right := func() *taplinev1.OpenSessionRequest { return withPIN(tap(annas), "2468") }
	for range 5 {
		p.refused(press, wrong(), "PIN_WRONG")
	}
	for _, lock := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 32 * time.Minute, time.Hour, time.Hour} {
		r := p.refused(press, right(), "PIN_LOCKED")
		if got := r.GetDecision().GetRetryAfter().AsDuration(); got != lock {
			t.Errorf("locked for %s, want %s", got, lock)
		}
		p.at = p.at.Add(lock - time.Second)
		p.refused(press, right(), "PIN_LOCKED")
		p.at = p.at.Add(time.Second)
		p.refused(press, wrong(), "PIN_WRONG")
	}
	p.at = p.at.Add(time.Hour)
	p.allowed(press, right())
	p.refused(press, wrong(), "PIN_WRONG") // and the count begins anew
	p.allowed(press, right())
}

func TestALockIsForOnePersonAtOneStation(t *testing.T) {
	p := newPlant(t)
	p.pin("p-1", "2468")
	p.pin("p-2", "2468")
	for range 6 {
		p.open(press, withPIN(tap(annas), "1357"))
	}
	p.refused(press, withPIN(tap(annas), "2468"), "PIN_LOCKED")
	p.allowed(press, withPIN(tap(bens), "2468"))
	p.endAll()
	p.allowed(packing, withPIN(tap(annas), "2468"))
	p.endAll()
	p.refused(press, withPIN(tap(annas), "2468"), "PIN_LOCKED")
}

func TestManyTriesAtOnceGainNothing(t *testing.T) {
	p := newPlant(t)
	p.pin("p-1", "2468")
	var g errgroup.Group
	g.SetLimit(16)
	tried := make([]taplinev1.RefusalCause, 40)
	for i := range tried {
		g.Go(func() error {
			r, err := p.Open(t.Context(), press, withPIN(tap(annas), "1357"))
			tried[i] = r.GetDecision().GetRefusal()
			return err
		})
	}
	p.must(g.Wait())
	checked := 0
	for _, cause := range tried {
		if cause == taplinev1.RefusalCause_REFUSAL_CAUSE_PIN_WRONG {
			checked++
		}
	}
	if checked != 5 {
		t.Errorf("%d PINs were tried at once, want 5", checked)
	}
}

func TestAReplayIsNoTry(t *testing.T) {
	p := newPlant(t)
	p.pin("p-1", "2468")
	req := withPIN(tap(annas), "1357")
	for range 20 {
		p.refused(press, req, "PIN_WRONG")
	}
	p.allowed(press, withPIN(tap(annas), "2468"))
}

func TestAPINIsNotTriedWithABadgeThatIsNoGood(t *testing.T) {
	p := newPlant(t)
	p.pin("p-1", "2468")
	p.update(func(tx *store.Tx) error { return tx.RevokeBadge("b-p-1", "lost") })
	for range 8 {
		p.refused(press, withPIN(tap(annas), "1357"), "BADGE_REVOKED")
	}
	p.refused(press, withPIN(tap(nobodys), "1357"), "UNKNOWN_BADGE")
	p.must(p.Store.View(t.Context(), func(tx *store.Tx) error {
		tries, err := tx.PINTries("p-1", press)
		if tries.Wrong != 0 {
			t.Errorf("%d tries were counted", tries.Wrong)
		}
		return err
	}))
}
