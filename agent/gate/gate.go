package gate

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// Config is what a helper needs.
type Config struct {
	// Socket is the agent's.
	Socket string
	// Display is that of the X server, as DISPLAY has it; XAUTHORITY says where its cookie is.
	Display string
	// Wayland is set where the session runs on Wayland.
	Wayland bool
	// Session is its number at logind; may be empty.
	Session string
	// Beat is called every second or two as long as all is well; nil for nobody.
	Beat func()
	Log  *zap.Logger
}

const (
	speakEvery  = 2 * time.Second // at least, to the agent
	silentAfter = 6 * time.Second // without a word of the agent's: let go
	stuckAfter  = 5 * time.Second // without an answer of the X server's: say nothing, so that the agent knows
)

// Reasons why input cannot be held, as the local API spells them.
const (
	reasonWayland   = "wayland"
	reasonNoDisplay = "no-display"
	reasonRefused   = "grab-refused"
	reasonByHand    = "released-by-hand"
)

// order is what the agent wants.
type order struct {
	number       uint64
	shut         bool
	look, locked bool
	edge         string
	words        string
	emergency    string
}

// standing is how things stand at the display.
type standing struct {
	order       uint64 // that was dealt with
	shut        bool
	reason      string
	heldByOther bool
}

// shared is what the two halves of a helper, the one at the display and the one at the agent's socket, know of each other.
type shared struct {
	mu      sync.Mutex // guards the fields below
	order   order
	now     standing
	used    bool      // since the agent was told last
	ours    bool      // no other helper has the display
	alive   time.Time // when the display answered last
	pressed time.Time // the emergency, as long as the agent does not know of it; zero for none

	orders  chan struct{} // has room for one: the order has changed
	reports chan struct{} // has room for one: there is something to tell
	presses chan struct{} // has room for one: the emergency button
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run helps until ctx ends. It outlives the agent and the X server, and comes back with them.
func Run(ctx context.Context, cfg Config) error {
	s := &shared{orders: make(chan struct{}, 1), reports: make(chan struct{}, 1), presses: make(chan struct{}, 1)}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return (&line{cfg: cfg, shared: s}).run(ctx) })
	group.Go(func() error {
		if cfg.Wayland {
			return s.without(ctx, reasonWayland, cfg.Beat)
		}
		return (&display{cfg: cfg, shared: s}).run(ctx)
	})
	return group.Wait()
}

// without answers every order with the reason why it cannot be carried out.
func (s *shared) without(ctx context.Context, reason string, beat func()) error {
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for {
		s.stand(standing{order: s.current().number, reason: reason})
		if beat != nil {
			beat()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.orders:
		case <-again.C:
		}
	}
}

func (s *shared) current() order {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.order
}

// want takes an order of the agent's, or what follows from its silence.
func (s *shared) want(o order) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o != s.order {
		s.order = o
		nudge(s.orders)
	}
}

// letGo is for when the agent is away: the station is open then.
func (s *shared) letGo() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.order.shut, s.order.look = false, false
	nudge(s.orders)
}

// stand says how things stand. The display has answered.
func (s *shared) stand(now standing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alive, s.ours = time.Now(), true
	if now != s.now {
		s.now = now
		nudge(s.reports)
	}
}

// taken says that another helper serves this display.
func (s *shared) taken() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ours = false
	nudge(s.reports)
}

// touched says that somebody used the station.
func (s *shared) touched() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = true
	nudge(s.reports)
}

// press is the emergency button.
func (s *shared) press() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pressed = time.Now()
	nudge(s.presses)
}

// told says that the agent knows of the emergency.
func (s *shared) told() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pressed = time.Time{}
	nudge(s.reports)
}

// pressFirst is how long the agent hears of nothing else, so that its record of the emergency says what was in force when it was pressed.
const pressFirst = time.Second

// pressing reports whether the agent is to hear of an emergency first.
func (s *shared) pressing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.pressed.IsZero() && time.Since(s.pressed) < pressFirst
}
