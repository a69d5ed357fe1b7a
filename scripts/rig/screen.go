//go:build linux

package rig

import (
	"context"
	"fmt"
	"sync"
	"time"

	taplinev1 "tapline/proto/tapline/v1"
)

// Seen is what a station showed: who is there, and a notice if there was one.
type Seen struct {
	At       time.Time
	Presence *taplinev1.Presence
	Notice   *taplinev1.Notice
}

// screen watches what a station shows, across restarts of its agent, and keeps all of it in order.
type screen struct {
	local taplinev1.LocalServiceClient
	stop  context.CancelFunc
	watch sync.WaitGroup

	mu      sync.Mutex // guards what follows
	seen    []Seen
	changed chan struct{} // closed and replaced with each new one
}

func newScreen(local taplinev1.LocalServiceClient) *screen {
	ctx, stop := context.WithCancel(context.Background())
	s := &screen{local: local, stop: stop, changed: make(chan struct{})}
	s.watch.Go(func() { s.follow(ctx) })
	return s
}

func (s *screen) close() {
	s.stop()
	s.watch.Wait()
}

// follow watches until ctx ends; an agent that is away is asked again.
func (s *screen) follow(ctx context.Context) {
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for ctx.Err() == nil {
		s.once(ctx)
		select {
		case <-ctx.Done():
		case <-again.C:
		}
	}
}

func (s *screen) once(ctx context.Context) {
	stream, err := s.local.WatchPresence(ctx, &taplinev1.WatchPresenceRequest{})
	if err != nil {
		return
	}
	for {
		r, err := stream.Recv()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.seen = append(s.seen, Seen{At: time.Now(), Presence: r.GetPresence(), Notice: r.GetNotice()})
		close(s.changed)
		s.changed = make(chan struct{})
		s.mu.Unlock()
	}
}

// Mark is a place in what a station has shown: now.
type Mark int

// Mark is the place after everything shown so far.
func (s *Station) Mark() Mark {
	s.screen.mu.Lock()
	defer s.screen.mu.Unlock()
	return Mark(len(s.screen.seen))
}

// Shown is everything the station has shown since a mark.
func (s *Station) Shown(since Mark) []Seen {
	s.screen.mu.Lock()
	defer s.screen.mu.Unlock()
	return append([]Seen(nil), s.screen.seen[since:]...)
}

// Await waits until the station shows, after the mark, something that is wanted.
func (s *Station) Await(ctx context.Context, since Mark, wanted func(Seen) bool) (Seen, error) {
	next := since
	for {
		s.screen.mu.Lock()
		seen, changed := s.screen.seen[next:], s.screen.changed
		s.screen.mu.Unlock()
		for _, one := range seen {
			next++
			if wanted(one) {
				return one, nil
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Seen{}, fmt.Errorf("station %s did not show it: %w; it showed %v", s.ID, ctx.Err(), s.Shown(since))
		}
	}
}

// Named is wanted when a person is there.
func Named(person string) func(Seen) bool {
	return func(s Seen) bool {
		return s.Presence.GetState() == taplinev1.PresenceState_PRESENCE_STATE_NAMED && s.Presence.GetPerson().GetId() == person
	}
}

// Noticed is wanted when a notice of a kind is shown.
func Noticed(kind taplinev1.NoticeKind) func(Seen) bool {
	return func(s Seen) bool { return s.Notice.GetKind() == kind }
}

// Idle is wanted when nobody is there.
func Idle(s Seen) bool { return s.Presence.GetState() == taplinev1.PresenceState_PRESENCE_STATE_IDLE }
