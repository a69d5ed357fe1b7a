package clock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// WhenSet calls set each time that the wall clock was set, until ctx ends. The kernel tells by cancelling a timer (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET).
func WhenSet(ctx context.Context, set func()) error {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("make timer: %w", err)
	}
	timer := os.NewFile(uintptr(fd), "clock")
	defer timer.Close()
	defer context.AfterFunc(ctx, func() { _ = timer.Close() })()
	buf := make([]byte, 8)
	for ctx.Err() == nil {
		far, err := unix.TimeToTimespec(time.Now().AddDate(1, 0, 0)) // once it is over, it begins anew
		if err != nil {
			return fmt.Errorf("set timer: %w", err)
		}
		err = unix.TimerfdSettime(fd, unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, &unix.ItimerSpec{Value: far}, nil)
		if err != nil && !errors.Is(err, unix.ECANCELED) {
			return fmt.Errorf("set timer: %w", err)
		}
		_, err = timer.Read(buf)
		switch {
		case errors.Is(err, unix.ECANCELED):
			set()
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("wait for the clock to be set: %w", err)
		}
	}
	return nil
}
