package station

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"tapline/proto/record"
)

// fake is a driver that can be had or not, and that takes its time.
type fake struct {
	mode    record.Mode
	mu      sync.Mutex // guards the fields below
	why     record.Reason
	slow    time.Duration
	shut    bool
	changed func()
}

func (f *fake) Mode() record.Mode { return f.mode }

func (f *fake) Enforce(ctx context.Context, open bool) error {
	f.mu.Lock()
	slow := f.slow
	f.mu.Unlock()
	if slow > 0 && !open {
		timer := time.NewTimer(slow)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return Unavailable{Reason: HelperSilent, Err: ctx.Err()}
		case <-timer.C:
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.why != "" {
		f.shut = false
		return Unavailable{Reason: f.why}
	}
	f.shut = !open
	return nil
}

func (f *fake) Run(ctx context.Context, changed func()) error {
	f.mu.Lock()
	f.changed = changed
	f.mu.Unlock()
	<-ctx.Done()
	return nil
}

// is changes what keeps the driver from its work, and says so.
func (f *fake) is(why record.Reason) {
	f.mu.Lock()
	f.why = why
	changed := f.changed
	f.mu.Unlock()
	changed()
}

// house is a keeper over three fakes.
type house struct {
	gate, lock, signin *fake
	keeper             *Keeper
	mu                 sync.Mutex // guards told
	told               []string
}

func keep(t *testing.T, do func(h *house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &house{gate: &fake{mode: record.ModeGate}, lock: &fake{mode: record.ModeLock}, signin: &fake{mode: record.ModeSignIn}}
		h.keeper = NewKeeper([]Driver{h.gate, h.lock, h.signin}, func(s State) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.told = append(h.told, string(s.InForce)+" "+string(s.Reason))
		}, zap.NewNop())
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			if err := h.keeper.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		do(h)
		stop()
		running.Wait()
		if got := h.shut(); len(got) > 0 {
			t.Errorf("the agent stopped and left %q shut", got)
		}
	})
}

// pass lets time pass.
func pass(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
	synctest.Wait()
}

func (h *house) wish(mode record.Mode, open bool) {
	h.keeper.Set(Wish{Mode: mode, Open: open})
	synctest.Wait()
}

func (h *house) shut() (list []record.Mode) {
	for _, f := range []*fake{h.gate, h.lock, h.signin} {
		f.mu.Lock()
		if f.shut {
			list = append(list, f.mode)
		}
		f.mu.Unlock()
	}
	return list
}

func (h *house) is(t *testing.T, want ...record.Mode) {
	t.Helper()
	if got := h.shut(); !slices.Equal(got, want) {
		t.Errorf("shut by %q, want %q", got, want)
	}
}

func (h *house) says(t *testing.T, want ...string) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if diff := cmp.Diff(want, h.told); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestAModeThatCannotBeHadMakesWayAndComesBack(t *testing.T) {
	keep(t, func(h *house) {
		h.lock.is(NoLogind)
		h.gate.is(NoHelper)
		h.wish(record.ModeLock, false)
		h.is(t)
		h.gate.is("")
		synctest.Wait()
		h.is(t, record.ModeGate)
		h.lock.is("")
		synctest.Wait()
		h.is(t, record.ModeLock)
		h.lock.is(NoLocker)
		synctest.Wait()
		h.is(t, record.ModeGate)
		h.says(t, "attribute no-logind", "gate no-logind", "lock ", "gate no-locker")
	})
}

func TestWhatNobodyToldIsSeen(t *testing.T) {
	keep(t, func(h *house) {
		h.wish(record.ModeGate, false)
		h.gate.mu.Lock()
		h.gate.why = NoDisplay
		h.gate.mu.Unlock()
		pass(lookEvery + time.Second)
		h.says(t, "gate ", "attribute no-display")
		h.gate.mu.Lock()
		h.gate.why = ""
		h.gate.mu.Unlock()
		pass(firstPause + time.Second)
		h.says(t, "gate ", "attribute no-display", "gate ")
	})
}

func TestAPersonNeverWaitsForALockThatIsOnItsWay(t *testing.T) {
	keep(t, func(h *house) {
		h.lock.slow = 4 * time.Second
		h.wish(record.ModeLock, false)
		pass(time.Second)
		began := time.Now()
		h.wish(record.ModeLock, true)
		if took := time.Since(began); took > 0 {
			t.Errorf("opening took %s", took)
		}
		h.is(t)
	})
}

func TestALesserModeIsOpenedBeforeAGreaterOneIsTried(t *testing.T) {
	keep(t, func(h *house) {
		h.wish(record.ModeGate, false)
		h.is(t, record.ModeGate)
		h.wish(record.ModeLock, false)
		h.is(t, record.ModeLock)
		h.wish(record.ModeAttribute, false)
		h.is(t)
		h.says(t, "gate ", "lock ", "attribute ")
	})
}

func TestWhyOfADriverThatSaysNothing(t *testing.T) {
	if got := reasonOf(errors.New("x")); got != Unsupported {
		t.Errorf("got %q", got)
	}
}
