//go:build !linux

package vcard

import "net"

// acknowledgeQuickly does nothing here: only Linux has the setting.
func acknowledgeQuickly(*net.TCPConn) {}
