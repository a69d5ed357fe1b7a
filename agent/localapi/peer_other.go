//go:build !linux && !windows

package localapi

import "net"

// credentialsOf knows nobody here, so that only what is open to all is answered.
func credentialsOf(net.Conn) (Peer, error) { return Peer{UID: -2}, nil }
