package localapi

import (
	"context"
	"net"
	"syscall"
	"testing"
	"testing/synctest"

	"go.uber.org/zap"
)

// shortListener has no room for open files a few times, and then a test's pipes.
type shortListener struct {
	fails int
	done  chan struct{}
	then  func()
}

func (l *shortListener) Accept() (net.Conn, error) {
	if l.fails--; l.fails >= 0 {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	l.then()
	<-l.done
	return nil, net.ErrClosed
}

func (l *shortListener) Close() error   { close(l.done); return nil }
func (l *shortListener) Addr() net.Addr { return &net.UnixAddr{} }

func TestACallerThatCannotBeAcceptedEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		l := &shortListener{fails: 3, done: make(chan struct{}), then: stop}
		if err := newSplitter(l, zap.NewNop()).run(ctx); err != nil || l.fails >= 0 {
			t.Errorf("ended with %v, %d failures to come", err, l.fails+1)
		}
	})
}
