package localapi

import (
	"errors"
	"fmt"
	"net"
	"runtime"

	"golang.org/x/sys/windows"
)

// credentialsOf asks who is at the other end of a pipe, by taking the caller's place for a moment: the token is that of whoever connected, whatever became
// of the process since. Something must have been read before. An owner is the system, a member of the administrators with their rights in force, and the
// agent's own account.
func credentialsOf(conn net.Conn) (Peer, error) {
	p, ok := conn.(*pipeConn)
	if !ok {
		return Peer{}, errors.New("peer credentials: not a pipe")
	}
	var pid uint32
	if err := windows.GetNamedPipeClientProcessId(p.handle, &pid); err != nil {
		return Peer{}, fmt.Errorf("peer credentials: %w", err)
	}
	owner, err := ownerOf(p.handle)
	if err != nil {
		return Peer{}, fmt.Errorf("peer credentials: %w", err)
	}
	return Peer{UID: -1, PID: int(pid), Owner: owner}, nil
}

func ownerOf(pipe windows.Handle) (owner bool, err error) {
	runtime.LockOSThread()
	impersonate := windows.NewLazySystemDLL("advapi32.dll").NewProc("ImpersonateNamedPipeClient")
	if ok, _, err := impersonate.Call(uintptr(pipe)); ok == 0 {
		runtime.UnlockOSThread()
		return false, err
	}
	var token windows.Token
	err = windows.OpenThreadToken(windows.CurrentThread(), windows.TOKEN_QUERY, true, &token)
	if back := windows.RevertToSelf(); back != nil {
		return false, back // the thread stays locked, so that it ends with its goroutine and serves nobody else
	}
	runtime.UnlockOSThread()
	if err != nil {
		return false, err
	}
	defer token.Close()
	caller, err := token.GetTokenUser()
	if err != nil {
		return false, err
	}
	me, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return false, err
	}
	if caller.User.Sid.Equals(me.User.Sid) || caller.User.Sid.IsWellKnown(windows.WinLocalSystemSid) {
		return true, nil
	}
	admins, err := windows.CreateWellKnownSid(windows.WinBuiltinAdministratorsSid)
	if err != nil {
		return false, err
	}
	return token.IsMember(admins)
}
