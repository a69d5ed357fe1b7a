package osservice

import (
	"os"
	"sync"
	"time"
)

// Watchdog gives what a program calls again and again while all is well (WatchdogSec= in its unit); a manager that hears nothing for that long ends the
// program. It says that the program is ready at the first call. Without such a manager it does nothing. done closes the line to the manager.
func Watchdog() (beat, done func()) {
	m, err := dialManager(os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		m = &manager{}
	}
	var mu sync.Mutex // guards last
	var last time.Time
	return func() {
		mu.Lock()
		defer mu.Unlock()
		switch now := time.Now(); {
		case last.IsZero():
			m.tell("READY=1\nWATCHDOG=1")
			last = now
		case now.Sub(last) >= time.Second:
			m.tell("WATCHDOG=1")
			last = now
		}
	}, m.close
}
