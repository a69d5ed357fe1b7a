// Package switchboard knows which stations are on the line, and reaches them: commands go out through it, and a station that is revoked is cut off.
//
// The station service plugs each command stream in; whoever changes something that a station must hear of calls Tell or Cut. A line has room for
// a few messages: a station that does not take them is cut off, and asks for what it missed when it comes back. Nothing here is durable, and a
// station that is not on the line is told nothing: what must not be lost is in the store.
package switchboard

import (
	"context"
	"sync"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/proto/record"
	"tapline/proto/wire"
)

// room is how many messages wait for one station.
const room = 32

// Board is the switchboard. Its zero value is ready.
type Board struct {
	mu    sync.Mutex // guards lines
	lines map[record.StationID]map[*Line]struct{}
}

// Line is one open command stream.
type Line struct {
	Out    <-chan *taplinev1.StreamCommandsResponse
	out    chan *taplinev1.StreamCommandsResponse
	cancel context.CancelCauseFunc
}

// Plug opens a line. Its context ends when the line is cut, with the reason as its cause; the caller unplugs it when its stream ends.
func (b *Board) Plug(ctx context.Context, station record.StationID) (context.Context, *Line, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	out := make(chan *taplinev1.StreamCommandsResponse, room)
	l := &Line{Out: out, out: out, cancel: cancel}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lines == nil {
		b.lines = map[record.StationID]map[*Line]struct{}{}
	}
	if b.lines[station] == nil {
		b.lines[station] = map[*Line]struct{}{}
	}
	b.lines[station][l] = struct{}{}
	return ctx, l, func() {
		cancel(context.Canceled)
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.lines[station], l)
		if len(b.lines[station]) == 0 {
			delete(b.lines, station)
		}
	}
}

// Tell sends m to a station's lines and says whether there is one.
func (b *Board) Tell(station record.StationID, m *taplinev1.StreamCommandsResponse) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	told := false
	for l := range b.lines[station] {
		select {
		case l.out <- m:
			told = true
		default:
			l.cancel(wire.E(wire.Busy, "the station does not take its commands"))
		}
	}
	return told
}

// Cut ends a station's lines.
func (b *Board) Cut(station record.StationID, why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for l := range b.lines[station] {
		l.cancel(why)
	}
}

// CutAll ends every line.
func (b *Board) CutAll(why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, lines := range b.lines {
		for l := range lines {
			l.cancel(why)
		}
	}
}

// Connected reports whether a station is on the line.
func (b *Board) Connected(station record.StationID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.lines[station]) > 0
}

// Stations are those on the line.
func (b *Board) Stations() []record.StationID {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]record.StationID, 0, len(b.lines))
	for id := range b.lines {
		all = append(all, id)
	}
	return all
}
