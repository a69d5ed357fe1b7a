package fleet

import (
	"sync"
	"time"
)

// Gap watches how long the brokers acknowledge nothing, over the whole fleet.
type Gap struct {
	mu      sync.Mutex // guards what follows
	last    time.Time  // of the newest receipt; zero while nobody watches
	longest time.Duration
}

// Start begins to watch. The fleet must have records to send all the time until Stop.
func (g *Gap) Start() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.last, g.longest = time.Now(), 0
}

// Stop gives the longest time without a receipt.
func (g *Gap) Stop() time.Duration {
	g.acked()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.last = time.Time{}
	return g.longest
}

// acked notes a receipt.
func (g *Gap) acked() {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.last.IsZero() {
		g.longest, g.last = max(g.longest, now.Sub(g.last)), now
	}
}
