package localapi

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.uber.org/zap"
)

const (
	headWithin = 5 * time.Second  // how long a request's head may take
	bodyWithin = 10 * time.Second // and all of it
	restWithin = 30 * time.Second // how long a connection may rest between two requests
	maxHead    = 16 << 10
	maxConns   = 64 // open connections of one listener over HTTP
)

// door is the loopback listener, which comes and goes with the configuration.
type door struct {
	token string // of the pages; another at each start
	log   *zap.Logger

	mu   sync.Mutex // guards the fields below
	want place
	turn chan struct{} // closed when want changes
	at   string        // where it is open; empty while it is not
}

// place is where the door is to be. l is nil when it is still to be opened.
type place struct {
	listen string
	hosts  []string
	l      net.Listener
}

func newDoor(listen string, hosts []string, log *zap.Logger) *door {
	return &door{token: rand.Text(), log: log, want: place{listen: listen, hosts: hosts}, turn: make(chan struct{})}
}

// Move opens another address for browsers. Nothing changes before commit is called, or at all when the error is not nil; cancel gives the address
// back. One of the two must be called.
func (s *Server) Move(ctx context.Context, listen string, hosts []string) (commit, cancel func(), err error) {
	d := s.door
	if err := CheckListen(listen); err != nil {
		return nil, nil, err
	}
	next := place{listen: listen, hosts: hosts}
	if now, _ := d.wanted(); listen != "" && listen != now.listen {
		var config net.ListenConfig
		if next.l, err = config.Listen(ctx, "tcp", listen); err != nil {
			return nil, nil, err
		}
	}
	return func() { d.set(next) }, func() {
		if next.l != nil {
			_ = next.l.Close()
		}
	}, nil
}

func (d *door) set(p place) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p.listen == d.want.listen {
		d.want.hosts = p.hosts
		return
	}
	d.want = p
	close(d.turn)
	d.turn = make(chan struct{})
}

// hosts are the names beside those of the loopback.
func (d *door) hosts() []string {
	p, _ := d.wanted()
	return p.hosts
}

func (d *door) wanted() (place, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.want, d.turn
}

func (d *door) opened(at string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at = at
}

// Address is where browsers find the page now; empty while they do not.
func (s *Server) Address() string {
	s.door.mu.Lock()
	defer s.door.mu.Unlock()
	return s.door.at
}

// run serves wherever the door is wanted, until ctx ends.
func (d *door) run(ctx context.Context, w *web, page func(token string) http.Handler) error {
	pages := *w
	if page != nil {
		pages.page = page(d.token)
	}
	for ctx.Err() == nil {
		p, turn := d.wanted()
		here, leave := context.WithCancel(ctx)
		var watching sync.WaitGroup
		watching.Go(func() {
			select {
			case <-turn:
				leave()
			case <-here.Done():
			}
		})
		d.serve(here, p, &pages)
		leave()
		watching.Wait()
	}
	return nil
}

// serve opens the door at p, as soon as it can, and answers until ctx ends.
func (d *door) serve(ctx context.Context, p place, w *web) {
	if p.listen == "" {
		<-ctx.Done()
		return
	}
	pause := backoff.NewExponentialBackOff()
	pause.MaxInterval = 30 * time.Second
	for l := p.l; ctx.Err() == nil; l = nil {
		var err error
		if l == nil {
			var config net.ListenConfig
			l, err = config.Listen(ctx, "tcp", p.listen)
		}
		if err == nil {
			d.opened(l.Addr().String())
			d.log.Info("page and API for browsers serve", zap.Stringer("address", l.Addr()))
			err = serveHTTP(ctx, newCrowd(l), w.handler(&guard{token: d.token, hosts: d.hosts}), browserContext)
			d.opened("")
		}
		if ctx.Err() != nil {
			return
		}
		d.log.Error("no page for browsers: its address cannot be served", zap.String("web.listen", p.listen), zap.Error(err))
		timer := time.NewTimer(pause.NextBackOff())
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// serveHTTP answers on l until ctx ends.
func serveHTTP(ctx context.Context, l net.Listener, handler http.Handler, known func(context.Context, net.Conn) context.Context) error {
	server := &http.Server{
		Handler: handler, ConnContext: known, BaseContext: func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: headWithin, ReadTimeout: bodyWithin, IdleTimeout: restWithin, MaxHeaderBytes: maxHead,
		ErrorLog: log.New(io.Discard, "", 0), // it quotes what callers sent
	}
	var stopping sync.WaitGroup
	defer stopping.Wait()
	stopped, stop := context.WithCancel(ctx)
	defer stop()
	stopping.Go(func() {
		<-stopped.Done()
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
		defer cancel()
		if server.Shutdown(late) != nil {
			_ = server.Close()
		}
	})
	if err := server.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// crowd is a listener that has so many connections open, and no more: further ones wait.
type crowd struct {
	net.Listener
	room chan struct{}
	done chan struct{}
	once func()
}

func newCrowd(l net.Listener) *crowd {
	c := &crowd{Listener: l, room: make(chan struct{}, maxConns), done: make(chan struct{})}
	c.once = sync.OnceFunc(func() { close(c.done) })
	return c
}

// Accept waits for room and for a caller.
func (c *crowd) Accept() (net.Conn, error) {
	select {
	case c.room <- struct{}{}:
	case <-c.done:
		return nil, net.ErrClosed
	}
	conn, err := c.Listener.Accept()
	if err != nil {
		<-c.room
		return nil, err
	}
	return &guest{Conn: conn, leave: sync.OnceFunc(func() { <-c.room })}, nil
}

// Close ends Accept.
func (c *crowd) Close() error {
	c.once()
	return c.Listener.Close()
}

type guest struct {
	net.Conn
	leave func()
}

// Close makes room.
func (g *guest) Close() error {
	defer g.leave()
	return g.Conn.Close()
}
