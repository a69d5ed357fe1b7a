package agent

import (
	"context"
	"sync/atomic"

	"tapline/installer/osservice"
)

// Machine takes what the service manager tells of the machine's sessions and power (Windows) until the agent gets to it. It exists before the agent does.
type Machine struct {
	sessions chan osservice.Event
	lost     atomic.Bool
	woke     chan struct{}
}

// maxEvents is how many events of sessions wait. Whoever misses one lists all sessions anew.
const maxEvents = 64

// NewMachine makes one.
func NewMachine() *Machine {
	return &Machine{sessions: make(chan osservice.Event, maxEvents), woke: make(chan struct{}, 1)}
}

// Hear takes an event and never waits: it is called from the loop that answers the service manager.
func (m *Machine) Hear(e osservice.Event) {
	switch e.Kind {
	case osservice.PowerSuspend: // nothing can be done in time, and records are durable already
	case osservice.PowerResume:
		select {
		case m.woke <- struct{}{}:
		default: // told already
		}
	default:
		select {
		case m.sessions <- e:
		default:
			m.lost.Store(true)
		}
	}
}

// takeLost reports whether events were lost since it was asked before.
func (m *Machine) takeLost() bool { return m.lost.Swap(false) }

// watchWake looks at clocks and line as soon as the machine wakes: the clock may have been set meanwhile, and the line is one that the broker gave up.
func (a *Agent) watchWake(ctx context.Context) error {
	if a.opts.Machine == nil {
		return nil
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.opts.Machine.woke:
			a.log.Info("the machine woke up")
			a.noteClock()
			a.moved.send()
		}
	}
}
