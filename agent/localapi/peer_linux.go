package localapi

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// credentialsOf asks for SO_PEERCRED: who connected, as it was when it connected.
func credentialsOf(conn net.Conn) (Peer, error) {
	u, ok := conn.(*net.UnixConn)
	if !ok {
		return Peer{}, errors.New("peer credentials: not a Unix socket")
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return Peer{}, fmt.Errorf("peer credentials: %w", err)
	}
	var cred *unix.Ucred
	var fault error
	if err := raw.Control(func(fd uintptr) { cred, fault = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return Peer{}, fmt.Errorf("peer credentials: %w", err)
	}
	if fault != nil {
		return Peer{}, fmt.Errorf("peer credentials: %w", fault)
	}
	uid := int(cred.Uid)
	return Peer{UID: uid, PID: int(cred.Pid), Owner: uid == 0 || uid == os.Geteuid()}, nil
}
