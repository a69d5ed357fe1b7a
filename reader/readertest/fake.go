package readertest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"tapline/reader"
)

// Fake is a source without hardware that keeps the law of reader.Source: what happens to its readers while Run is on becomes events, what
// lies on a reader when it comes into view does not, and a reader that is away tells nothing. Its methods are for any goroutine; they
// return at once. It works under testing/synctest.
type Fake struct {
	// NoPresence makes readers that cannot see a badge leave. Set before Run.
	NoPresence bool

	names []reader.Name
	mu    sync.Mutex // guards the rest
	slots map[reader.Name]*fakeSlot
	push  func(reader.Event) // nil while Run is not on
}

type fakeSlot struct {
	away  bool
	badge reader.Badge // that lies there; zero if none
	told  bool         // it was told as a tap
}

// NewFake makes a source of the named readers, all attached and empty.
func NewFake(names ...reader.Name) *Fake {
	f := &Fake{names: names, slots: map[reader.Name]*fakeSlot{}}
	for _, n := range names {
		f.slots[n] = &fakeSlot{}
	}
	return f
}

// Run emits what happens until ctx ends; it returns ctx's cause. It can be run again, but only once at a time.
func (f *Fake) Run(ctx context.Context, emit func(reader.Event)) error {
	return reader.Relay(ctx, emit, func(ctx context.Context, push func(reader.Event)) error {
		f.begin(push)
		<-ctx.Done()
		f.end()
		return context.Cause(ctx)
	})
}

func (f *Fake) begin(push func(reader.Event)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.push != nil {
		panic("readertest: Fake.Run is on already")
	}
	f.push = push
	for _, n := range f.names {
		if s := f.slots[n]; !s.away {
			s.told = false
			f.tell(n, reader.Event{Kind: reader.Attached, Presence: !f.NoPresence})
		}
	}
}

func (f *Fake) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.push = nil
}

// Tap lays a badge with the given number, a chip UID, on a reader, where it stays until Leave or the next Tap.
func (f *Fake) Tap(at reader.Name, number reader.Number) {
	f.Present(at, reader.Badge{Number: number, Technology: reader.ISO14443A, Assurance: reader.ChipUID})
}

// Present is Tap for any badge.
func (f *Fake) Present(at reader.Name, badge reader.Badge) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.slot(at)
	f.takeAway(at, s)
	s.badge = badge
	if f.tell(at, reader.Event{Kind: reader.Tapped, Badge: badge}) {
		s.told = true
	}
}

// Leave takes the badge away from a reader; with none there, nothing happens.
func (f *Fake) Leave(at reader.Name) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.takeAway(at, f.slot(at))
}

// Unreadable presents something that gives no number.
func (f *Fake) Unreadable(at reader.Name, why reader.Reason) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.takeAway(at, f.slot(at))
	f.tell(at, reader.Event{Kind: reader.Unreadable, Reason: why})
}

// Detach unplugs a reader, with what lies on it.
func (f *Fake) Detach(at reader.Name, why reader.Reason) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.slot(at)
	f.tell(at, reader.Event{Kind: reader.Detached, Reason: why})
	s.away, s.told = true, false
}

// Attach plugs a reader in again; what lies on it is no tap.
func (f *Fake) Attach(at reader.Name) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.slot(at)
	if !s.away {
		return
	}
	s.away = false
	f.tell(at, reader.Event{Kind: reader.Attached, Presence: !f.NoPresence})
}

func (f *Fake) slot(at reader.Name) *fakeSlot {
	s := f.slots[at]
	if s == nil {
		panic(fmt.Sprintf("readertest: the fake has no reader %q", at))
	}
	return s
}

func (f *Fake) takeAway(at reader.Name, s *fakeSlot) {
	if s.told && !f.NoPresence {
		f.tell(at, reader.Event{Kind: reader.Left, Badge: s.badge})
	}
	s.badge, s.told = reader.Badge{}, false
}

// tell emits an event of a reader that is in view, and reports whether it was.
func (f *Fake) tell(at reader.Name, e reader.Event) bool {
	if f.push == nil || f.slots[at].away {
		return false
	}
	e.Reader, e.At = at, time.Now()
	f.push(e)
	return true
}
