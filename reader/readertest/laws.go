package readertest

import (
	"fmt"
	"testing"
	"time"

	"tapline/reader"
)

type law struct {
	sentence string
	holds    func(t *testing.T, h Harness)
}

func laws() []law {
	return []law{
		{"a reader announces itself, then tells of each tap with its number", tapIsTold},
		{"a badge that leaves is told where the reader can see it", leavingIsTold},
		{"taps come in order, none lost and none doubled", tapsComeInOrder},
		{"a badge that lies there at the start is no tap", lyingIsNoTap},
		{"what cannot be read is told with a reason", unreadableIsTold},
		{"a pulled reader is told, and works again when it is back", replugIsTold},
		{"a badge that lies there at the return is no tap", lyingAtReturnIsNoTap},
		{"a slow consumer loses no tap", slowConsumerLosesNothing},
		{"the source ends with its context while the reader is away", endsWhileDetached},
		{"an event does not print the number", eventsHideNumbers},
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tapOnce lays badge down and takes it away, and wants exactly that told.
func tapOnce(t *testing.T, h Harness, s *Scene, badge int) reader.Event {
	t.Helper()
	must(t, h.Tap(badge))
	e := s.WantTap(h.Reader(), h.Number(badge))
	must(t, h.Remove())
	if h.Presence() {
		s.Want(reader.Left, h.Reader())
	}
	return e
}

func tapIsTold(t *testing.T, h Harness) {
	before := time.Now()
	s := Start(t, h.Source())
	if e := s.Want(reader.Attached, h.Reader()); e.Presence != h.Presence() {
		t.Errorf("presence is %t, want %t", e.Presence, h.Presence())
	}
	e := tapOnce(t, h, s, 0)
	if e.At.Before(before) || e.At.After(time.Now()) {
		t.Errorf("tap is said to be at %s, which is not during the test", e.At)
	}
	if e.Badge.Technology == "" {
		t.Error("tap has no technology")
	}
}

func leavingIsTold(t *testing.T, h Harness) {
	s := Start(t, h.Source())
	s.Want(reader.Attached, h.Reader())
	must(t, h.Tap(1))
	s.WantTap(h.Reader(), h.Number(1))
	must(t, h.Remove())
	if !h.Presence() {
		tapOnce(t, h, s, 0) // and no Left before it
		return
	}
	if e := s.Want(reader.Left, h.Reader()); !e.Badge.Number.Equal(h.Number(1)) {
		t.Error("the badge that left is not the one that was tapped")
	}
}

func tapsComeInOrder(t *testing.T, h Harness) {
	s := Start(t, h.Source())
	s.Want(reader.Attached, h.Reader())
	for _, badge := range []int{0, 1, 1, 0, 0, 1} {
		tapOnce(t, h, s, badge)
	}
}

func lyingIsNoTap(t *testing.T, h Harness) {
	must(t, h.Tap(0))
	s := Start(t, h.Source())
	s.Want(reader.Attached, h.Reader())
	must(t, h.Remove())
	tapOnce(t, h, s, 1) // the first thing told: neither badge 0 nor its leaving
}

func unreadableIsTold(t *testing.T, h Harness) {
	s := Start(t, h.Source())
	s.Want(reader.Attached, h.Reader())
	reason, err := h.Spoil()
	must(t, err)
	if e := s.Want(reader.Unreadable, h.Reader()); e.Reason != reason {
		t.Errorf("reason is %q, want %q", e.Reason, reason)
	}
	tapOnce(t, h, s, 0)
}

func replugIsTold(t *testing.T, h Harness) {
	s := Start(t, h.Source())
	for range 3 {
		s.Want(reader.Attached, h.Reader())
		tapOnce(t, h, s, 0)
		must(t, h.Detach())
		if e := s.Want(reader.Detached, h.Reader()); e.Reason == "" {
			t.Error("the reader went away for no reason")
		}
		must(t, h.Attach())
	}
	s.Want(reader.Attached, h.Reader())
	tapOnce(t, h, s, 1)
}

func lyingAtReturnIsNoTap(t *testing.T, h Harness) {
	s := Start(t, h.Source())
	s.Want(reader.Attached, h.Reader())
	must(t, h.Tap(0))
	s.WantTap(h.Reader(), h.Number(0))
	must(t, h.Detach())
	s.Want(reader.Detached, h.Reader())
	must(t, h.Attach())
	s.Want(reader.Attached, h.Reader())
	must(t, h.Remove())
	tapOnce(t, h, s, 1)
}

// slowConsumerLosesNothing taps while the consumer is stuck. The source may be late, so that a badge is gone before it is
// read; then it says so. What it may not do is say nothing.
func slowConsumerLosesNothing(t *testing.T, h Harness) {
	s := Start(t, h.Source())
	s.Want(reader.Attached, h.Reader())
	unblock := s.Block()
	const taps = 3
	for range taps {
		must(t, h.Tap(0))
		must(t, h.Remove())
	}
	unblock()
	told := 0
	for told < taps {
		if k := s.Next().Kind; k == reader.Tapped || k == reader.Unreadable {
			told++
		}
	}
}

func endsWhileDetached(t *testing.T, h Harness) {
	s := Start(t, h.Source())
	s.Want(reader.Attached, h.Reader())
	must(t, h.Detach())
	s.Want(reader.Detached, h.Reader())
	s.Stop()
}

func eventsHideNumbers(t *testing.T, h Harness) {
	s := Start(t, h.Source())
	s.Want(reader.Attached, h.Reader())
	e := tapOnce(t, h, s, 0)
	empty := e
	empty.Badge.Number = reader.Number{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%q"} {
		if fmt.Sprintf(verb, e) != fmt.Sprintf(verb, empty) {
			t.Errorf("%s prints another text for another number", verb)
		}
	}
}
