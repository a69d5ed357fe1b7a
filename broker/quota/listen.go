package quota

import (
	"net"
	"sync"
)

// Listen bounds how many connections a listener has open at once, in all and from one address. One too many is closed at once, before any of it is read:
// whoever holds connections open and says nothing takes no more than these.
func (g *Guard) Listen(l net.Listener) net.Listener {
	return &listener{Listener: l, guard: g, from: map[string]int{}}
}

type listener struct {
	net.Listener
	guard *Guard

	mu   sync.Mutex // guards what follows
	all  int
	from map[string]int
}

// Accept is the next connection that there is room for.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := addressOf(c.RemoteAddr())
		if l.enter(from) {
			return &conn{Conn: c, leave: sync.OnceFunc(func() { l.leave(from) })}, nil
		}
		if l.guard.Refused != nil {
			l.guard.Refused("connections")
		}
		_ = c.Close()
	}
}

func (l *listener) enter(from string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	all, each := l.guard.limits.Connections, l.guard.limits.ConnectionsPerAddress
	if all > 0 && l.all >= all || each > 0 && l.from[from] >= each {
		return false
	}
	l.all++
	l.from[from]++
	return true
}

func (l *listener) leave(from string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.from[from]--; l.from[from] <= 0 {
		delete(l.from, from)
	}
}

type conn struct {
	net.Conn
	leave func()
}

// Close gives the place back.
func (c *conn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
