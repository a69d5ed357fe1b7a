package clock

import (
	"fmt"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

const bootKey = `SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management\PrefetchParameters`

// OS reads GetTickCount64, which counts on while the machine sleeps, and the number of the boot that Windows keeps in the registry. Where it
// keeps none, the boot is named by the minute in which it was: a clock that is set then looks like another boot, which claims less.
func OS() (Source, error) {
	boot := bootNumber()
	if boot == "" {
		at := time.Now().Add(-windows.DurationSinceBoot())
		boot = guessPrefix + at.UTC().Truncate(time.Minute).Format("20060102T1504Z")
	}
	return func() Reading {
		return Reading{Wall: time.Now(), Boot: boot, Monotonic: windows.DurationSinceBoot()}
	}, nil
}

func bootNumber() string {
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, bootKey, registry.QUERY_VALUE)
	if err != nil {
		return ""
	}
	defer key.Close()
	n, _, err := key.GetIntegerValue("BootId")
	if err != nil {
		return ""
	}
	return fmt.Sprintf("windows-%d", n)
}
