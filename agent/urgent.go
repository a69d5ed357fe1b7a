package agent

import (
	"context"
	"sync"
	"time"

	"tapline/agent/session"
)

// pressQueue is how many presses of the emergency button may wait; they all mean the same.
const pressQueue = 16

// urgency lets a press of the emergency button go before everything else, also before a record that a disk does not take.
type urgency struct {
	presses chan input

	mu      sync.Mutex // guards the fields below
	waiting int        // presses on their way
	cut     context.CancelFunc
}

// begin says that a press is on its way: a record that is being written is left to the journal.
func (u *urgency) begin() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.waiting++
	if u.cut != nil {
		u.cut()
	}
}

// end says that a press has arrived, or that nobody waits for it any more.
func (u *urgency) end() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.waiting--
}

// writing gives the context of one record, which a press ends.
func (u *urgency) writing() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	u.mu.Lock()
	defer u.mu.Unlock()
	u.cut = cancel
	if u.waiting > 0 {
		cancel()
	}
	return ctx, cancel
}

// press opens the station. It returns as soon as the station shows that it is open, with the emergency in force.
func (l *loop) press(ctx context.Context, e session.EmergencyPressed) (session.Emergency, error) {
	told := make(chan session.Emergency, 1)
	l.urgent.begin()
	select {
	case l.urgent.presses <- input{event: e, told: told}:
	case <-l.ended:
		l.urgent.end()
		return session.Emergency{}, errEnded
	case <-ctx.Done():
		l.urgent.end()
		return session.Emergency{}, ctx.Err()
	}
	select {
	case now := <-told:
		return now, nil
	case <-l.ended:
		return session.Emergency{}, errEnded
	case <-ctx.Done():
		return session.Emergency{}, ctx.Err()
	}
}

// recall takes up the emergencies of the runs before. What the clock says between them is believed, and never below zero.
func (l *loop) recall() {
	for _, e := range l.cfg.Found.Emergencies {
		l.handle(input{event: session.EmergencyFound{
			Opened: e.Opened, Ago: time.Since(e.Opened.Time.Wall), InForce: e.InForce, Claims: e.Claims,
		}})
	}
}

// open begins with a press: whoever pressed is told at once, before the record of it is written.
func (l *loop) open(in input) {
	l.urgent.end()
	l.handle(in)
}
