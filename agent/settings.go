package agent

import (
	"io"
	"sync"
	"sync/atomic"
)

// settings are the settings in force. cfg has those of the start, which hold for what needs a restart.
func (a *Agent) settings() Config { return *a.inForce.Load() }

// signal tells whoever waits, again and again. The zero signal is ready.
type signal struct {
	mu sync.Mutex // guards ch
	ch chan struct{}
}

// wait returns a channel that is closed by the next call of send.
func (s *signal) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

func (s *signal) send() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}

// lines are where the panel's lines go, or nowhere while they are turned off.
type lines struct {
	out io.Writer
	on  atomic.Bool
}

// Write writes a line.
func (l *lines) Write(b []byte) (int, error) {
	if !l.on.Load() {
		return len(b), nil
	}
	return l.out.Write(b)
}
