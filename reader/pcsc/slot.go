package pcsc

import (
	"time"

	"tapline/reader"
)

// The bits of a PC/SC reader state that matter here (PC/SC part 5; the values are the same on all systems). The upper 16 bits are a
// counter of cards that came or went; it wraps.
const (
	flagChanged     = 0x0002
	flagUnknown     = 0x0004
	flagUnavailable = 0x0008
	flagPresent     = 0x0020
	flagMute        = 0x0200
)

// slot is what we know of one reader. It is pure: states and moments in, changes out. Owned by the monitor goroutine.
type slot struct {
	since   time.Time // when it was first seen
	settled bool      // it is attached: what comes now is a tap
	state   uint32    // as last reported, to be fed back
	known   bool      // state holds a report
	recheck bool      // ask for the state again instead of waiting for a change
	tapped  bool      // the present card was reported as a tap, so its leaving will be, too
	badge   reader.Badge
}

// change is what one report means for the person at the reader.
type change uint8

const (
	attached change = iota + 1 // the reader is ready
	left                       // the tapped card went away
	missed                     // a card came and went before it could be read
	mute                       // a card lies there that gave no ATR
	arrived                    // a card was laid on the reader and wants reading
	broken                     // the reader cannot be used any more
)

// feedback is the state to wait for changes from.
func (s *slot) feedback() uint32 {
	if !s.known || s.recheck {
		return 0 // unaware: report at once
	}
	return s.state &^ flagChanged
}

// quiet notes that a wait ended without a report. A service takes a counter of 0 that is fed back for "not given", so a card that came and went while
// the counter was 0 may have passed unseen: look again.
func (s *slot) quiet() { s.recheck = s.known && s.state>>16 == 0 }

// settleIn returns how long the slot still has to be watched before it counts as attached.
func (s *slot) settleIn(now time.Time, settle time.Duration) time.Duration {
	if s.settled {
		return settle
	}
	return max(0, settle-now.Sub(s.since))
}

// settle makes the slot attached once it was watched long enough. A card on it stays unreported.
func (s *slot) settle(now time.Time, settle time.Duration) []change {
	if s.settled || !s.known || s.settleIn(now, settle) > 0 {
		return nil
	}
	s.settled = true
	return []change{attached}
}

// report takes a new state and returns what it means, in order.
func (s *slot) report(state uint32) []change {
	was, first := s.state, !s.known
	if state&(flagUnknown|flagUnavailable) != 0 {
		return []change{broken}
	}
	s.state, s.known, s.recheck = state, true, false
	if first || !s.settled {
		return nil
	}
	moves := uint16(state>>16) - uint16(was>>16) // how many times a card came or went since; wraps
	return s.diff(was&flagPresent != 0, state, moves)
}

func (s *slot) diff(wasPresent bool, state uint32, moves uint16) []change {
	present := state&flagPresent != 0
	switch {
	case wasPresent && present && moves == 0:
		return nil // only sharing or power changed
	case wasPresent && present:
		return append(s.leave(), arrive(state))
	case wasPresent && moves > 1:
		return append(s.leave(), missed) // another card came and went after it
	case wasPresent:
		return s.leave()
	case present:
		return []change{arrive(state)}
	case moves >= 2:
		return []change{missed}
	}
	return nil
}

func (s *slot) leave() []change {
	if !s.tapped {
		return nil
	}
	s.tapped = false
	return []change{left}
}

func arrive(state uint32) change {
	if state&flagMute != 0 {
		return mute
	}
	return arrived
}
