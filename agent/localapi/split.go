package localapi

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	sayWithin = 5 * time.Second // how long a caller may be silent before its first bytes
	silentMax = 64              // how many may be silent at the same time; beyond it new ones wait

	acceptAgain = 100 * time.Millisecond // after a caller that could not be accepted
)

// splitter gives each connection of the socket to gRPC or to HTTP, by its first bytes: gRPC is HTTP/2, which begins with "PRI", and no HTTP/1.1
// method does.
type splitter struct {
	from      net.Listener
	grpc, web *lane
	log       *zap.Logger
}

func newSplitter(from net.Listener, log *zap.Logger) *splitter {
	return &splitter{from: from, grpc: newLane(from.Addr()), web: newLane(from.Addr()), log: log}
}

// run accepts until ctx ends or the listener fails.
func (s *splitter) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer context.AfterFunc(ctx, func() { _ = s.from.Close() })()
	var silent sync.WaitGroup
	defer silent.Wait()
	defer cancel()
	room := make(chan struct{}, silentMax)
	for {
		conn, err := s.from.Accept()
		if ctx.Err() != nil {
			if conn != nil {
				_ = conn.Close()
			}
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		if err != nil { // too many open files, a caller that hung up: no reason for a station to end
			s.log.Warn("a local caller could not be accepted", zap.Error(err))
			again := time.NewTimer(acceptAgain)
			select {
			case <-ctx.Done():
			case <-again.C:
			}
			again.Stop()
			continue
		}
		room <- struct{}{}
		silent.Go(func() {
			defer func() { <-room }()
			s.place(ctx, conn)
		})
	}
}

// place hands a connection on once it is known whose it is and what it speaks.
func (s *splitter) place(ctx context.Context, conn net.Conn) {
	defer context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Now()) })()
	head := make([]byte, 3)
	err := conn.SetReadDeadline(time.Now().Add(sayWithin))
	if err == nil {
		_, err = io.ReadFull(conn, head)
	}
	if err == nil {
		err = conn.SetReadDeadline(time.Time{})
	}
	var who Peer
	if err == nil {
		who, err = credentialsOf(conn)
	}
	if err != nil || ctx.Err() != nil {
		if err != nil && !errors.Is(err, io.EOF) {
			s.log.Debug("a local caller was let go", zap.Error(err))
		}
		_ = conn.Close()
		return
	}
	to := s.web
	if string(head) == "PRI" {
		to = s.grpc
	}
	to.put(&knownConn{Conn: conn, peer: who, head: head})
}

// laneConns is how many connections may be open in a lane; further ones are closed at once.
const laneConns = 128

// lane is a listener that is handed its connections.
type lane struct {
	addr  net.Addr
	conns chan net.Conn
	room  chan struct{}
	done  chan struct{}
	close func()
}

func newLane(addr net.Addr) *lane {
	l := &lane{addr: addr, conns: make(chan net.Conn, laneConns), room: make(chan struct{}, laneConns), done: make(chan struct{})}
	l.close = sync.OnceFunc(func() { close(l.done) })
	return l
}

// put never waits: there is as much room for connections that wait as for those that are open.
func (l *lane) put(conn *knownConn) {
	select {
	case l.room <- struct{}{}:
		conn.leave = sync.OnceFunc(func() { <-l.room })
		l.conns <- conn
	default:
		_ = conn.Close()
	}
}

// Accept gives the next connection.
func (l *lane) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept, and the connections that nobody took.
func (l *lane) Close() error {
	l.close()
	for {
		select {
		case conn := <-l.conns:
			_ = conn.Close()
		default:
			return nil
		}
	}
}

// Addr is the socket's.
func (l *lane) Addr() net.Addr { return l.addr }
