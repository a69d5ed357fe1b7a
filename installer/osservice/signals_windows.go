package osservice

import (
	"os"
	"syscall"
)

// watchedSignals: Go turns Ctrl+C into os.Interrupt, and closing the console, logging off and shutting down into SIGTERM.
func watchedSignals() []os.Signal {
	return []os.Signal{os.Interrupt, syscall.SIGTERM}
}

// isReload: Windows has no such signal.
func isReload(os.Signal) bool { return false }
