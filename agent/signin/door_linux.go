package signin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"
)

const (
	answerWithin = time.Second // the module waits two
	longestLine  = 256
	mostAsking   = 32
)

// Door is the socket at which the module asks.
type Door struct {
	Socket string
	Decide Decide
	Log    *zap.Logger
}

// Run answers until ctx ends. A socket that cannot be made is tried again: the station works without, and sign-ins fall back to the password.
func (d Door) Run(ctx context.Context) error {
	again := time.NewTicker(5 * time.Second)
	defer again.Stop()
	for {
		err := d.serve(ctx)
		if ctx.Err() != nil {
			return nil
		}
		d.Log.Warn("sign-ins are not answered", zap.Error(err))
		select {
		case <-ctx.Done():
			return nil
		case <-again.C:
		}
	}
}

func (d Door) serve(ctx context.Context) error {
	if err := os.Remove(d.Socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "unix", d.Socket)
	if err != nil {
		return err
	}
	defer l.Close()
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	if err := os.Chmod(d.Socket, 0o666); err != nil { // who may ask what is decided by who it is
		return err
	}
	var asking sync.WaitGroup
	defer asking.Wait()
	seats := make(chan struct{}, mostAsking)
	for {
		conn, err := l.Accept()
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		select {
		case seats <- struct{}{}:
			asking.Go(func() {
				defer func() { <-seats }()
				d.answer(ctx, conn)
			})
		default:
			_ = conn.Close()
		}
	}
}

// answer reads one line and writes one.
func (d Door) answer(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	_ = conn.SetDeadline(time.Now().Add(answerWithin))
	line, err := bufio.NewReader(io.LimitReader(conn, longestLine)).ReadString('\n')
	if err != nil {
		return
	}
	words := strings.Fields(line)
	if len(words) != 3 || words[0] != "authorize" {
		return
	}
	uid, err := uidOf(conn)
	if err != nil || !MayAsk(uid, words[1]) {
		d.Log.Warn("somebody asked about another's account", zap.Int("uid", uid))
		return
	}
	_, _ = io.WriteString(conn, string(d.Decide(ctx, words[1]))+"\n")
}

// uidOf is who connected, by the kernel's word.
func uidOf(conn net.Conn) (uid int, err error) {
	u, ok := conn.(*net.UnixConn)
	if !ok {
		return -1, errors.New("not a Unix socket")
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return -1, err
	}
	uid = -1
	fault := raw.Control(func(fd uintptr) {
		var cred *syscall.Ucred
		if cred, err = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			uid = int(cred.Uid)
		}
	})
	return uid, errors.Join(fault, err)
}
