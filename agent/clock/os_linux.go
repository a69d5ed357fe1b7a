package clock

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// OS reads CLOCK_BOOTTIME, which counts on while the machine sleeps, and the kernel's boot ID.
func OS() (Source, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, fmt.Errorf("read boot ID: %w", err)
	}
	boot := strings.TrimSpace(string(b))
	return func() Reading {
		var ts unix.Timespec
		_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) // fails only on a bad clock ID or address
		return Reading{Wall: time.Now(), Boot: boot, Monotonic: time.Duration(ts.Nano())}
	}, nil
}
