package readertest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tapline/reader"
)

// Scene is a running source and what it has emitted. Its methods fail the test; they are for the test's own goroutine.
type Scene struct {
	t       *testing.T
	stop    context.CancelCauseFunc
	running sync.WaitGroup
	result  error // of Run; set before running is done
	events  chan reader.Event
	inside  atomic.Int32 // calls of emit going on
	doubled atomic.Bool  // two at once were seen
	gate    sync.Mutex   // held by Block: emit waits
}

func (s *Scene) emit(e reader.Event) {
	if s.inside.Add(1) > 1 {
		s.doubled.Store(true)
	}
	defer s.inside.Add(-1)
	s.gate.Lock()
	defer s.gate.Unlock()
	s.events <- e
}

// Block makes emit block until the function that it returns is called.
func (s *Scene) Block() (unblock func()) {
	s.gate.Lock()
	return s.gate.Unlock
}

// Next is the next event; the test fails if none comes for a long time.
func (s *Scene) Next() reader.Event {
	s.t.Helper()
	select {
	case e := <-s.events:
		return e
	case <-time.After(patience):
		s.t.Fatal("no event came")
		return reader.Event{}
	}
}

// Want is the next event, which has to be of the given kind and at the given reader.
func (s *Scene) Want(kind reader.Kind, at reader.Name) reader.Event {
	s.t.Helper()
	e := s.Next()
	if e.Kind != kind || e.Reader != at {
		s.t.Fatalf("event: got %s, want %s at %q", describe(e), kindName(kind), at)
	}
	return e
}

// WantTap is the next event, which has to be a tap of number.
func (s *Scene) WantTap(at reader.Name, number reader.Number) reader.Event {
	s.t.Helper()
	e := s.Want(reader.Tapped, at)
	if !e.Badge.Number.Equal(number) {
		s.t.Fatalf("tap at %q gave another number (format %q, want format %q)", at, e.Badge.Number.Encoding(), number.Encoding())
	}
	return e
}

// Stop ends the source and waits for it. It checks that Run returned the cause, and that it never emitted twice at once.
func (s *Scene) Stop() {
	s.t.Helper()
	s.stop(errStopped)
	ended := make(chan struct{})
	var waiter sync.WaitGroup
	waiter.Go(func() {
		s.running.Wait()
		close(ended)
	})
	select {
	case <-ended:
	case <-time.After(patience):
		s.t.Fatal("Run did not return after its context ended")
	}
	waiter.Wait()
	if !errors.Is(s.result, errStopped) && !errors.Is(s.result, context.Canceled) {
		s.t.Errorf("Run returned %v, want the cause of its context", s.result)
	}
	if s.doubled.Load() {
		s.t.Error("emit was called twice at once")
	}
}
