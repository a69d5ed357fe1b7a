package grant

import "time"

// PINRule says when a PIN is asked for; any of its parts is enough. Broker and station work out with it alike whether one is due.
type PINRule struct {
	Always           bool  `json:"always,omitempty"`
	FirstOfShift     bool  `json:"first_of_shift,omitempty"`
	WeakBelow        uint8 `json:"weak_below,omitempty"`   // with each tap of a badge of less assurance
	AfterIdleSeconds int64 `json:"after_idle_s,omitempty"` // away from the station for longer; 0 for never
}

// Use is what is known of a person's use of a station.
type Use struct {
	Assurance uint8
	Fresh     bool      // a good PIN was given at this station in this shift
	LastHere  time.Time // zero for never, or not known; after now, because a clock was set, it is not known either
}

// Due reports whether the rule asks for a PIN now. It does not look at whether one was given with the tap.
func (r PINRule) Due(u Use, now time.Time) bool {
	switch {
	case r.Always, r.FirstOfShift && !u.Fresh, u.Assurance < r.WeakBelow:
		return true
	case r.AfterIdleSeconds > 0:
		return u.LastHere.IsZero() || u.LastHere.After(now) || now.Sub(u.LastHere) > time.Duration(r.AfterIdleSeconds)*time.Second
	}
	return false
}
