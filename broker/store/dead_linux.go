package store

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// dieAfter makes a connection fail when what was sent is not acknowledged for so long: the kernel's own patience is a quarter of an hour.
func dieAfter(d time.Duration) func(network, address string, c syscall.RawConn) error {
	return func(network, _ string, c syscall.RawConn) error {
		if network != "tcp4" && network != "tcp6" && network != "tcp" {
			return nil
		}
		var failed error
		err := c.Control(func(fd uintptr) {
			failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
		})
		if err != nil {
			return err
		}
		return failed
	}
}
