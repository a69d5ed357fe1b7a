// Package reader turns badges that people present into taps.
//
// It is the vocabulary that every badge reader speaks: a Source runs one kind of reader (PC/SC, serial line, keyboard
// wedge, OSDP) and emits Events; an Event carries the Badge that was seen, the Reader that saw it and the moment.
// The agent consumes events; sources live in the sub-packages and readertest holds the contract test that each passes.
//
// The package knows nobody else of ours. It never decides who a person is, never talks to a network, and never lets a badge
// number out by accident: Number hides itself from every formatting verb and encoder.
package reader

import (
	"context"
	"time"
)

// Name is what the operating system calls a reader. It is recorded in full and matched by pattern: a reader that is
// plugged in elsewhere may come back under another name, so a name is never an identity.
type Name string

// Kind says what happened at a reader.
type Kind uint8

// The kinds of event that a Source emits.
const (
	// Tapped: a badge was presented and read. Badge is set.
	Tapped Kind = iota + 1
	// Left: the badge of the last Tapped event at this reader is no longer there. Badge is set to that badge.
	// Readers that cannot see a badge leave never emit it; see Presence.
	Left
	// Unreadable: something was presented that gave no number. Reason is set. Never silence: the person is told.
	Unreadable
	// Attached: the reader is there and working. Presence says whether it can see a badge leave.
	Attached
	// Detached: the reader went away or its service died. The source keeps trying to get it back. Reason is set.
	Detached
)

// Event is one thing that happened at one reader.
type Event struct {
	Kind   Kind
	Reader Name
	// Badge is the badge that was read; the zero Badge for kinds that have none.
	Badge Badge
	// At is when the reader reported it (with Go's monotonic reading), before the badge was read: latency starts here.
	At time.Time
	// Presence is set on Attached events of readers that report Left.
	Presence bool
	// Reason says why for Unreadable and Detached; the zero Reason otherwise.
	Reason Reason
}

// Source is one kind of reader on this machine.
//
// Run emits events until ctx ends and then returns ctx's cause. It reconnects by itself for ever: a pulled reader, a dead
// PC/SC service or a missing device file is a Detached event, never a return. Events of one reader are in order and emit is never called
// by two goroutines at once; emit may block, and a source loses no tap while it does. A badge that lies on the reader when the
// source starts or reconnects is not a tap (nobody presented it just now); its leaving is not reported either.
type Source interface {
	Run(ctx context.Context, emit func(Event)) error
}
