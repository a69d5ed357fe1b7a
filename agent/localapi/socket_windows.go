package localapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// pipeRights are what everybody who is signed in may do with the pipe: read and write. Whoever may make an instance of it (FILE_APPEND_DATA, which is
// part of GENERIC_WRITE) could answer in the agent's place, so that right is the agent's and the administrators' alone, and a client that opens the
// pipe must ask for these rights and not for GENERIC_WRITE.
const pipeRights = windows.FILE_READ_DATA | windows.FILE_WRITE_DATA | windows.FILE_READ_ATTRIBUTES | windows.FILE_WRITE_ATTRIBUTES | windows.READ_CONTROL | windows.SYNCHRONIZE

// pipeBuffer is how many bytes may wait in each direction.
const pipeBuffer = 64 << 10

// pipeListener is a named pipe that programs on this machine connect to, and none of another.
type pipeListener struct {
	name     string
	security *windows.SecurityAttributes
	stop     windows.Handle // an event that ends Accept
	close    func()

	next windows.Handle // the instance that waits for a caller; owned by Accept
}

// listen makes the pipe. A name that another program has taken is refused.
func listen(_ context.Context, name string) (net.Listener, error) {
	me, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return nil, fmt.Errorf("own account: %w", err)
	}
	sd, err := windows.SecurityDescriptorFromString(fmt.Sprintf("D:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;%s)(A;;0x%x;;;AU)", me.User.Sid, uint32(pipeRights)))
	if err != nil {
		return nil, fmt.Errorf("rights of the pipe: %w", err)
	}
	l := &pipeListener{name: name, security: &windows.SecurityAttributes{SecurityDescriptor: sd}}
	l.security.Length = uint32(unsafe.Sizeof(*l.security))
	if l.next, err = l.instance(windows.FILE_FLAG_FIRST_PIPE_INSTANCE); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if l.stop, err = windows.CreateEvent(nil, 1, 0, nil); err != nil {
		return nil, errors.Join(err, windows.CloseHandle(l.next))
	}
	l.close = sync.OnceFunc(func() { _ = windows.SetEvent(l.stop) })
	return l, nil
}

func (l *pipeListener) instance(first uint32) (windows.Handle, error) {
	name, err := windows.UTF16PtrFromString(l.name)
	if err != nil {
		return 0, err
	}
	return windows.CreateNamedPipe(name, windows.PIPE_ACCESS_DUPLEX|windows.FILE_FLAG_OVERLAPPED|first,
		windows.PIPE_TYPE_BYTE|windows.PIPE_READMODE_BYTE|windows.PIPE_WAIT|windows.PIPE_REJECT_REMOTE_CLIENTS,
		windows.PIPE_UNLIMITED_INSTANCES, pipeBuffer, pipeBuffer, 0, l.security)
}

// Accept waits for a caller.
func (l *pipeListener) Accept() (net.Conn, error) {
	if l.next == 0 {
		return nil, net.ErrClosed
	}
	for {
		err := l.await()
		here := l.next
		if errors.Is(err, net.ErrClosed) {
			l.next = 0
			return nil, errors.Join(err, windows.CloseHandle(here))
		}
		var fault error
		if l.next, fault = l.instance(0); fault != nil {
			l.next = 0
			return nil, errors.Join(fault, windows.CloseHandle(here))
		}
		if err != nil { // the caller went while it came
			_ = windows.CloseHandle(here)
			continue
		}
		return &pipeConn{File: os.NewFile(uintptr(here), l.name), handle: here, addr: pipeAddr(l.name)}, nil
	}
}

// await waits until somebody has connected to the next instance, or Close.
func (l *pipeListener) await() error {
	done, err := windows.CreateEvent(nil, 1, 0, nil)
	if err != nil {
		return err
	}
	defer func() { _ = windows.CloseHandle(done) }()
	over := windows.Overlapped{HEvent: done}
	switch err = windows.ConnectNamedPipe(l.next, &over); {
	case err == nil, errors.Is(err, windows.ERROR_PIPE_CONNECTED):
		return nil
	case !errors.Is(err, windows.ERROR_IO_PENDING):
		return err
	}
	which, err := windows.WaitForMultipleObjects([]windows.Handle{l.stop, done}, false, windows.INFINITE)
	if err != nil || which == windows.WAIT_OBJECT_0 {
		_ = windows.CancelIoEx(l.next, &over)
		var n uint32
		_ = windows.GetOverlappedResult(l.next, &over, &n, true) // the structure is the kernel's until then
		return errors.Join(net.ErrClosed, err)
	}
	var n uint32
	return windows.GetOverlappedResult(l.next, &over, &n, false)
}

// Close ends Accept.
func (l *pipeListener) Close() error {
	l.close()
	return nil
}

// Addr is the pipe's name.
func (l *pipeListener) Addr() net.Addr { return pipeAddr(l.name) }

type pipeAddr string

func (pipeAddr) Network() string  { return "pipe" }
func (a pipeAddr) String() string { return string(a) }

// pipeConn is one connection over the pipe.
type pipeConn struct {
	*os.File
	handle windows.Handle
	addr   pipeAddr
}

// LocalAddr is the pipe's name.
func (c *pipeConn) LocalAddr() net.Addr { return c.addr }

// RemoteAddr is the pipe's name, too.
func (c *pipeConn) RemoteAddr() net.Addr { return c.addr }

// Dial connects to the agent over its pipe. The agent may learn who calls and act as the caller in nothing.
func Dial(ctx context.Context, name string) (net.Conn, error) {
	path, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return nil, err
	}
	for {
		h, err := windows.CreateFile(path, pipeRights, 0, nil, windows.OPEN_EXISTING,
			windows.FILE_FLAG_OVERLAPPED|windows.SECURITY_SQOS_PRESENT|windows.SECURITY_IDENTIFICATION, 0)
		if err == nil {
			return &pipeConn{File: os.NewFile(uintptr(h), name), handle: h, addr: pipeAddr(name)}, nil
		}
		if !errors.Is(err, windows.ERROR_PIPE_BUSY) { // all instances are taken for a moment
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		again := time.NewTimer(10 * time.Millisecond)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return nil, ctx.Err()
		}
	}
}
