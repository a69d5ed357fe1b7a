//go:build unix

package osservice

import (
	"os"
	"syscall"
)

func watchedSignals() []os.Signal {
	return []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP}
}

func isReload(s os.Signal) bool { return s == syscall.SIGHUP }
