package ldap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// Client knows the servers. It is safe for concurrent use.
type Client struct {
	cfg     Config
	servers []server

	mu    sync.Mutex // guards first
	first int        // the server that answered last
}

// New makes a client; it speaks to nobody yet. Give it a configuration without faults.
func New(cfg Config) (*Client, error) {
	c := &Client{cfg: cfg.filled()}
	if err := errors.Join(cfg.Check("ldap")...); err != nil {
		return nil, err
	}
	for _, text := range cfg.Servers {
		s, err := parseServer(text)
		if err != nil {
			return nil, err
		}
		c.servers = append(c.servers, s)
	}
	return c, nil
}

// Open gives a session on the first server that answers, beginning with the one that answered last. Where no server can be used the error holds
// the fault of each. A server that refuses the account ends the round: the others have the same accounts, and would count the failure too.
func (c *Client) Open(ctx context.Context) (*Session, error) {
	c.mu.Lock()
	first := c.first
	c.mu.Unlock()
	var faults []error
	for i := range c.servers {
		n := (first + i) % len(c.servers)
		s, err := c.open(ctx, c.servers[n])
		if err == nil {
			c.mu.Lock()
			c.first = n
			c.mu.Unlock()
			return s, nil
		}
		faults = append(faults, fmt.Errorf("%s: %w", c.servers[n], err))
		if errors.Is(err, ErrCredentials) || errors.Is(err, ErrExpired) || ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(faults...)
}

// changer is a client with the account that changes passwords.
func (c *Client) changer() *Client { return &Client{cfg: c.cfg.Changing(), servers: c.servers} }

// open connects to one server, binds and asks what it can do.
func (c *Client) open(ctx context.Context, to server) (*Session, error) {
	inner, cancel := context.WithTimeout(ctx, c.cfg.ConnectTimeout)
	defer cancel()
	s, err := c.connect(inner, to)
	if err != nil {
		return nil, err
	}
	if err := s.during(inner, func() error {
		if err := s.bind(); err != nil {
			return err
		}
		return s.ask()
	}); err != nil {
		s.Close()
		return nil, err
	}
	s.conn.SetTimeout(c.cfg.Timeout)
	return s, nil
}

// connect gives a session that is protected, and not bound.
func (c *Client) connect(ctx context.Context, to server) (*Session, error) {
	config, err := c.cfg.tlsFor(to)
	if err != nil {
		return nil, err
	}
	raw, err := (&net.Dialer{KeepAlive: keepAlive}).DialContext(ctx, "tcp", to.address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	line := &meter{Conn: raw}
	s := &Session{cfg: c.cfg, server: to, line: line}
	if to.tls {
		secured := tls.Client(line, config)
		if err := secured.HandshakeContext(ctx); err != nil {
			_ = raw.Close()
			return nil, handshakeFault(err)
		}
		s.conn = ldap.NewConn(secured, true)
		s.secure = true
	} else {
		s.conn = ldap.NewConn(line, false)
	}
	s.conn.SetTimeout(c.cfg.ConnectTimeout)
	s.conn.Start()
	if to.tls || c.cfg.Plain {
		return s, nil
	}
	// The server, or whoever stands between, may refuse TLS: then nothing more is said to it.
	if err := s.during(ctx, func() error { return s.conn.StartTLS(config) }); err != nil {
		s.Close()
		if errors.Is(err, ErrUnavailable) && !strings.Contains(err.Error(), "TLS handshake failed") { // the library keeps the cause as text alone
			return nil, err
		}
		return nil, fmt.Errorf("%w: StartTLS: %w", ErrUntrusted, err)
	}
	s.secure = true
	return s, nil
}

func handshakeFault(err error) error {
	if untrusted(err) {
		return fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	return fmt.Errorf("%w: TLS: %w", ErrUnavailable, err)
}

const (
	// keepAlive finds out that a server is gone while a session waits for changes.
	keepAlive = 15 * time.Second
	// maxUnread bounds what a server may send before somebody has taken a result from it. One group with 100,000 members has some 10 MB.
	maxUnread = 64 << 20
)

// meter is a connection that ends itself when more comes in than anybody takes: the library reads a message whole, however long it says it is.
type meter struct {
	net.Conn
	unread atomic.Int64
	over   atomic.Bool
}

// Read reads while the bound is kept.
func (m *meter) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	if m.unread.Add(int64(n)) > maxUnread {
		m.over.Store(true)
		return 0, ErrTooMuch
	}
	return n, err
}

// taken says that a result was taken.
func (m *meter) taken() { m.unread.Store(0) }
