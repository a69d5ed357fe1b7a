package osservice

import (
	"fmt"
	"net"
	"strings"
)

// manager is the datagram socket of sd_notify(3); the zero value is "nobody listens".
type manager struct{ conn net.Conn }

// dialManager opens the socket that the service manager named in NOTIFY_SOCKET. Empty means there is none, which is
// how every start outside systemd looks. A leading "@" is an abstract socket; package net knows that spelling too.
func dialManager(socket string) (*manager, error) {
	if socket == "" {
		return &manager{}, nil
	}
	conn, err := net.Dial("unixgram", socket)
	if err != nil {
		return nil, fmt.Errorf("reach the service manager at NOTIFY_SOCKET: %w", err)
	}
	return &manager{conn: conn}, nil
}

// tell sends one state, "READY=1" for instance. A failure is swallowed: the manager's view of us is no reason to stop
// serving, and systemd acts by its own timeout when it hears nothing.
func (m *manager) tell(state string) {
	if m.conn != nil {
		_, _ = m.conn.Write([]byte(state))
	}
}

func (m *manager) close() {
	if m.conn != nil {
		_ = m.conn.Close()
	}
}

// oneLine keeps a message from becoming a second assignment: sd_notify separates them by line breaks.
func oneLine(s string) string {
	return strings.Join(strings.Fields(s), " ")
}
