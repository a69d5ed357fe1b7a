package station

import (
	"context"
	"errors"
	"fmt"

	"tapline/proto/record"
)

// Driver enforces one mode. It is called by one goroutine.
type Driver interface {
	Mode() record.Mode
	// Enforce opens or shuts the station, and returns when it has seen that it is so. Called again while it is, it only looks. An error (Unavailable) says
	// why the mode cannot be had; the driver has then left the station open. It gives up when ctx ends.
	Enforce(ctx context.Context, open bool) error
	// Run keeps up what the driver needs until ctx ends. It calls changed when a mode that could not be had may be had now, or the other way round.
	Run(ctx context.Context, changed func()) error
}

// Why a mode cannot be had, as records, status and presence spell it.
const (
	AsConfigured   record.Reason = "as-configured" // it can
	NoHelper       record.Reason = "no-helper"     // nobody runs "tapagent gate" in the graphical session
	HelperSilent   record.Reason = "helper-silent" // it does not answer in time
	Wayland        record.Reason = "wayland"       // which lets no program hold the input
	NoDisplay      record.Reason = "no-display"    // the X server is away
	GrabRefused    record.Reason = "grab-refused"  // another program holds the input
	ReleasedByHand record.Reason = "released-by-hand"
	NoLogind       record.Reason = "no-logind"
	NoSession      record.Reason = "no-session" // the shared account is not signed in
	NoLocker       record.Reason = "no-locker"  // asked to lock, nothing did
	NotUnlocked    record.Reason = "not-unlocked"
	NotPermitted   record.Reason = "not-permitted"
	NoPAM          record.Reason = "no-pam" // no sign-in of the system asks the agent
	Unsupported    record.Reason = "unsupported"
)

// Unavailable says why a mode cannot be had.
type Unavailable struct {
	Reason record.Reason
	Err    error // for the log; nil for none
}

func (u Unavailable) Error() string {
	if u.Err != nil {
		return fmt.Sprintf("%s: %v", u.Reason, u.Err)
	}
	return string(u.Reason)
}

func (u Unavailable) Unwrap() error { return u.Err }

// reasonOf is the word for why a driver failed.
func reasonOf(err error) record.Reason {
	if u, ok := errors.AsType[Unavailable](err); ok {
		return u.Reason
	}
	return Unsupported
}

// Missing is the driver of a mode that this operating system does not have.
type Missing record.Mode

// Mode is the mode that is missing.
func (m Missing) Mode() record.Mode { return record.Mode(m) }

// Enforce never can.
func (Missing) Enforce(context.Context, bool) error { return Unavailable{Reason: Unsupported} }

// Run has nothing to do.
func (Missing) Run(context.Context, func()) error { return nil }
