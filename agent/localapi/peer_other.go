//go:build !linux

package localapi

import "net"

// credentialsOf knows nobody here, so that only what is open to all is answered. The named pipe of Windows comes with its own listener.
func credentialsOf(net.Conn) (Peer, error) { return Peer{UID: -2}, nil }
