package vcard

import (
	"net"
	"syscall"
)

// acknowledgeQuickly asks the kernel to acknowledge what comes next at once. Best effort: without it the card is slow, not wrong.
func acknowledgeQuickly(conn *net.TCPConn) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1)
	})
}
