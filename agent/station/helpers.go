package station

import (
	"context"
	"sync"
	"time"

	"tapline/proto/record"
)

const (
	// speakEvery is how often each side of a helper's line speaks at least, and silentAfter when it counts as gone.
	speakEvery  = 2 * time.Second
	silentAfter = 6 * time.Second
)

// Order is what the helpers in graphical sessions are to do.
type Order struct {
	Number uint64
	Shut   bool // hold the input
	Look   bool // tell whether another program holds the keyboard
	Locked bool // logind's LockedHint, for lockers that do not set it
}

// Report is how things stand in a graphical session.
type Report struct {
	Order       uint64        // the newest that was dealt with
	Shut        bool          // the input is held
	Reason      record.Reason // why it cannot be held; empty when it can
	Used        bool          // somebody used the station since the last report
	HeldByOther bool
	Session     string // at logind
	Display     string
}

// Helpers is the driver of the mode gate: it knows the helpers that are attached and has all of them hold the input, or let go of it.
type Helpers struct {
	used func()

	mu      sync.Mutex // guards the fields below
	order   Order
	list    map[*helper]struct{}
	changed func()
	stir    chan struct{} // closed, and made anew, whenever something here changes
}

// helper is one that is attached.
type helper struct{ last Report }

// NewHelpers makes the driver. used is called when somebody uses the station; it must not wait long.
func NewHelpers(used func()) *Helpers {
	return &Helpers{used: used, order: Order{Number: 1}, list: map[*helper]struct{}{}, changed: func() {}, stir: make(chan struct{})}
}

// Mode is gate.
func (h *Helpers) Mode() record.Mode { return record.ModeGate }

// Run hands on changed and waits.
func (h *Helpers) Run(ctx context.Context, changed func()) error {
	h.mu.Lock()
	h.changed = changed
	h.mu.Unlock()
	<-ctx.Done()
	return nil
}

// Enforce orders, and waits until every helper has answered.
func (h *Helpers) Enforce(ctx context.Context, open bool) error {
	n := h.change(func(o *Order) { o.Shut = !open })
	ctx, cancel := context.WithTimeout(ctx, speakEvery)
	defer cancel()
	for {
		h.mu.Lock()
		err, stir := h.verdict(n, !open), h.stir
		h.mu.Unlock()
		if err == nil || reasonOf(err) != HelperSilent && reasonOf(err) != GrabRefused {
			return h.orOpen(err)
		}
		select {
		case <-ctx.Done():
			return h.orOpen(err)
		case <-stir:
		}
	}
}

// orOpen takes the order back that a helper did not answer: what it does about it later would surprise whoever works there by then.
func (h *Helpers) orOpen(err error) error {
	if err != nil && reasonOf(err) == HelperSilent {
		h.change(func(o *Order) { o.Shut = false })
	}
	return err
}

// verdict is why the order is not carried out; nil when it is. The caller holds mu.
func (h *Helpers) verdict(n uint64, shut bool) error {
	if len(h.list) == 0 {
		return Unavailable{Reason: NoHelper}
	}
	for one := range h.list {
		switch r := one.last; {
		case r.Reason != "" && r.Order >= n:
			return Unavailable{Reason: r.Reason}
		case r.Order < n || r.Shut != shut:
			return Unavailable{Reason: HelperSilent}
		}
	}
	return nil
}

// change changes the order, under a new number if it is another one, and gives the number.
func (h *Helpers) change(set func(*Order)) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.order
	set(&h.order)
	if h.order != before {
		h.order.Number++
		h.stirred()
	}
	return h.order.Number
}

func (h *Helpers) stirred() {
	close(h.stir)
	h.stir = make(chan struct{})
}

// Line is a helper's line to the agent. Receive waits for the next report; Send does not wait long.
type Line struct {
	Receive func() (Report, error)
	Send    func(Order) error
}

// Attach serves one helper until its line ends. One that falls silent is not counted until it speaks again.
func (h *Helpers) Attach(ctx context.Context, line Line) error {
	ctx, cancel := context.WithCancel(ctx)
	var sender sync.WaitGroup
	defer sender.Wait()
	defer cancel()
	sender.Go(func() { _ = h.send(ctx, line) }) // what cannot be sent cannot be heard either
	one := &helper{}
	defer h.leave(one)
	silent := time.AfterFunc(silentAfter, func() { h.leave(one) })
	defer silent.Stop()
	for {
		r, err := line.Receive()
		if err != nil {
			return err
		}
		silent.Reset(silentAfter)
		h.heard(one, r)
	}
}

func (h *Helpers) heard(one *helper, r Report) {
	h.mu.Lock()
	_, known := h.list[one]
	news := !known || one.last.Shut != r.Shut || one.last.Reason != r.Reason
	h.list[one], one.last = struct{}{}, r
	h.stirred()
	changed := h.changed
	h.mu.Unlock()
	if r.Used {
		h.used()
	}
	if news {
		changed()
	}
}

// send tells the order at each change, and again as a sign of life.
func (h *Helpers) send(ctx context.Context, line Line) error {
	again := time.NewTicker(speakEvery)
	defer again.Stop()
	for sent := uint64(0); ; {
		h.mu.Lock()
		order, stir := h.order, h.stir
		h.mu.Unlock()
		if order.Number != sent {
			if err := line.Send(order); err != nil {
				return err
			}
			sent = order.Number
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-again.C:
			sent = 0
		case <-stir:
		}
	}
}

func (h *Helpers) leave(one *helper) {
	h.mu.Lock()
	_, known := h.list[one]
	delete(h.list, one)
	changed := h.changed
	h.stirred()
	h.mu.Unlock()
	if known {
		changed()
	}
}

// look has the helpers tell whether another program holds the keyboard, as lockers do.
func (h *Helpers) look(look bool) { h.change(func(o *Order) { o.Look = look }) }

// sight is what is seen of a locker.
type sight int

const (
	notSeen sight = iota // the helper has not looked yet
	isOpen
	isLocked
)

// locker is what they see of one, once they have looked for the order in force. It is not attached when none that sees the screen is there.
func (h *Helpers) locker() (saw sight, attached bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	saw = isOpen
	for one := range h.list {
		switch r := one.last; {
		case r.Reason != "": // it sees no display
			continue
		case r.Order < h.order.Number:
			saw = notSeen
		case r.HeldByOther && saw != notSeen:
			saw = isLocked
		}
		attached = true
	}
	return saw, attached
}

// Shut reports whether every helper that is attached holds the input.
func (h *Helpers) Shut() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for one := range h.list {
		if !one.last.Shut {
			return false
		}
	}
	return len(h.list) > 0
}
