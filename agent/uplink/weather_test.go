package uplink

import (
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// weather is a listener whose connections can be cut after some bytes, or go silent without a word.
type weather struct {
	net.Listener
	budget func() int64 // bytes until the next connection is cut; 0 for never

	silent atomic.Bool
	cuts   atomic.Int64
	mu     sync.Mutex
	conns  []net.Conn
}

func listen(t *testing.T, budget func() int64) *weather {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &weather{Listener: l, budget: budget}
	t.Cleanup(func() { w.silent.Store(false); w.cutAll() })
	return w
}

func randomCuts(least, most int64) func() int64 {
	var mu sync.Mutex
	chance := rand.New(rand.NewPCG(3, 4))
	return func() int64 {
		mu.Lock()
		defer mu.Unlock()
		return least + chance.Int64N(most-least)
	}
}

func (w *weather) Accept() (net.Conn, error) {
	c, err := w.Listener.Accept()
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns = append(w.conns, c)
	budget := int64(-1)
	if w.budget != nil {
		budget = w.budget()
	}
	conn := &stormy{Conn: c, weather: w}
	conn.left.Store(budget)
	conn.cuts = budget > 0
	return conn, nil
}

func (w *weather) cutAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		_ = c.Close()
	}
	w.conns = nil
}

// stormy is a connection in that weather, on the broker's side.
type stormy struct {
	net.Conn
	weather *weather
	cuts    bool
	left    atomic.Int64
}

var errCut = errors.New("the cable was cut")

// pass lets up to n bytes by.
func (c *stormy) pass(n int) (int, error) {
	if !c.cuts {
		return n, nil
	}
	if left := c.left.Add(-int64(n)); left < 0 {
		c.weather.cuts.Add(1)
		_ = c.Conn.Close()
		return max(0, n+int(left)), errCut
	}
	return n, nil
}

// Read swallows what comes while it is silent.
func (c *stormy) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if err != nil {
			return n, err
		}
		if c.weather.silent.Load() {
			continue
		}
		return c.pass(n)
	}
}

// Write swallows what is sent while it is silent.
func (c *stormy) Write(b []byte) (int, error) {
	if c.weather.silent.Load() {
		return len(b), nil
	}
	n, err := c.pass(len(b))
	if err != nil {
		return n, err
	}
	return c.Conn.Write(b)
}
