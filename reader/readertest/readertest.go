// Package readertest holds the contract test that every badge source passes, and Fake, a source without hardware for the tests of
// those who consume taps.
//
// A source's own tests call Run with a Harness that moves real or simulated badges in front of the source. What the test asserts is
// what reader.Source promises in words: order, no tap lost or doubled, a badge that lies there at the start is no tap, trouble is
// told and never ends the source, and Run returns soon after its context ends. Only tests import this package.
package readertest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tapline/reader"
)

// Harness is one reader with two badges beside it, and the hands that move them. Its methods return when the reader's side has
// taken notice, so that two calls are two happenings.
type Harness interface {
	// Source makes the source under test. It is called once a harness.
	Source() reader.Source
	// Reader is the name that the source gives to the reader.
	Reader() reader.Name
	// Presence says whether the reader can see a badge leave.
	Presence() bool
	// Number is what the source reports for badge 0 or 1.
	Number(badge int) reader.Number
	// Tap lays badge 0 or 1 on the reader, where it stays until Remove.
	Tap(badge int) error
	// Remove takes the badge away.
	Remove() error
	// Spoil presents something that cannot be read, takes it away again, and returns the reason that the source is to give.
	Spoil() (reader.Reason, error)
	// Detach unplugs the reader and Attach plugs it in again; a badge on it stays on it.
	Detach() error
	Attach() error
}

// patience bounds every wait of the contract test. It only ends a test that hangs.
const patience = 30 * time.Second

// Run runs the contract test; make builds a fresh harness, with the reader attached and no badge on it.
func Run(t *testing.T, make func(t *testing.T) Harness) {
	t.Helper()
	for _, law := range laws() {
		t.Run(law.sentence, func(t *testing.T) { law.holds(t, make(t)) })
	}
}

// Start runs src until the test ends or the scene's Stop, and records what it emits.
func Start(t *testing.T, src reader.Source) *Scene {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	s := &Scene{t: t, stop: cancel, events: make(chan reader.Event, 4096)}
	s.running.Go(func() { s.result = src.Run(ctx, s.emit) })
	t.Cleanup(func() { s.Stop() })
	return s
}

// errStopped is the cause that the contract test ends a source with, and wants back.
var errStopped = errors.New("the test has seen enough")

// describe names an event for test output without its number.
func describe(e reader.Event) string {
	return strings.TrimSpace(fmt.Sprintf("%s at %q %s", kindName(e.Kind), e.Reader, e.Reason))
}

func kindName(k reader.Kind) string {
	switch k {
	case reader.Tapped:
		return "tapped"
	case reader.Left:
		return "left"
	case reader.Unreadable:
		return "unreadable"
	case reader.Attached:
		return "attached"
	case reader.Detached:
		return "detached"
	}
	return fmt.Sprintf("kind %d", k)
}
