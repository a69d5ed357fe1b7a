package clock

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Of adjtimex(2): the time in the structure, in nanoseconds, is added to the clock.
const (
	adjSetOffset = 0x0100
	adjNano      = 0x2000
)

// TestTheKernelTellsThatTheClockWasSet sets it by a nanosecond, of which the kernel tells like of any other step.
func TestTheKernelTellsThatTheClockWasSet(t *testing.T) {
	nudge := func() error {
		_, err := unix.Adjtimex(&unix.Timex{Modes: adjSetOffset | adjNano, Time: unix.Timeval{Usec: 1}})
		return err
	}
	if err := nudge(); errors.Is(err, unix.EPERM) {
		t.Skip("needs: the right to set the clock")
	}
	ctx, cancel := context.WithCancel(t.Context())
	told := make(chan struct{}, 100)
	var watching sync.WaitGroup
	watching.Go(func() {
		if err := WhenSet(ctx, func() {
			select {
			case told <- struct{}{}:
			default:
			}
		}); err != nil {
			t.Error(err)
		}
	})
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	limit := time.After(10 * time.Second)
	for waiting := true; waiting; {
		select {
		case <-told:
			waiting = false
		case <-again.C: // the watch may not stand yet
			if err := nudge(); err != nil {
				t.Fatal(err)
			}
		case <-limit:
			t.Fatal("the kernel told nobody")
		}
	}
	cancel()
	watching.Wait()
}
