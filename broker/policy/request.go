package policy

import (
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/proto/grant"
	"tapline/proto/record"

	"github.com/cedar-policy/cedar-go"
)

// Action is what is asked for.
type Action string

// The actions.
const (
	OpenSession   Action = "openSession"
	ExtendSession Action = "extendSession"
	WorkOffline   Action = "workOffline"
	// MoveSession asks whether a person's sessions at other stations may be ended, so that this one can begin.
	MoveSession Action = "moveSession"
	// DisplaceSession asks whether the session of Tap.Holder, who has the shared account, may be ended.
	DisplaceSession Action = "displaceSession"
)

// named reports whether only a permit that names the action counts: a rule that permits everything was not meant to end somebody's session.
func (a Action) named() bool { return a == MoveSession || a == DisplaceSession }

// Request is one question.
type Request struct {
	Action  Action
	Person  *taplinev1.PersonEntry
	Station *taplinev1.Station
	Zone    *taplinev1.Zone // nil for none
	Tap     Tap
}

// Tap is what is known of the tap beside who and where.
type Tap struct {
	Assurance taplinev1.Assurance
	PIN       bool      // a good one was given with it
	PINFresh  bool      // a good one was given at this station in this shift
	LastHere  time.Time // when the person was last at this station; zero for never
	Approved  bool      // by a second person
	Approver  *taplinev1.PersonEntry
	OffShift  bool     // the person has shifts and is in none of them
	Offline   bool     // the question is what the station may decide alone
	Elsewhere []string // other stations where the person has a session
	Occupant  *taplinev1.PersonEntry
	Holder    *taplinev1.PersonEntry // of the account, for DisplaceSession
	// AccountHeld is how many sessions at other stations hold the account.
	AccountHeld int
	At          time.Time
}

// PINDue reports whether the zone's rules ask for a PIN.
func (r Request) PINDue() bool {
	return PINRuleOf(r.Zone).Due(grant.Use{Assurance: uint8(r.Tap.Assurance), Fresh: r.Tap.PINFresh, LastHere: r.Tap.LastHere}, r.Tap.At)
}

const (
	minutesOfDay  = 24 * 60
	minutesOfWeek = 7 * minutesOfDay
)

// MinuteOfWeek is the minutes since Monday 00:00 UTC.
func MinuteOfWeek(at time.Time) int {
	at = at.UTC()
	day := (int(at.Weekday()) + 6) % 7 // Monday is 0
	return day*minutesOfDay + at.Hour()*60 + at.Minute()
}

// clock is what policies see beside entities that changes while nobody changes anything. A bundle asks about every clock that can be.
type clock struct {
	minute int // of the week
	pinDue bool
}

func (r Request) clock() clock { return clock{MinuteOfWeek(r.Tap.At), r.PINDue()} }

// cedarRequest is the question in Cedar's words.
func (r Request) cedarRequest(c clock) cedar.Request {
	facts := cedar.RecordMap{
		"assurance":     cedar.Long(r.Tap.Assurance),
		"pin":           cedar.Boolean(r.Tap.PIN),
		"pinFresh":      cedar.Boolean(r.Tap.PINFresh),
		"pinDue":        cedar.Boolean(c.pinDue),
		"approved":      cedar.Boolean(r.Tap.Approved),
		"inShift":       cedar.Boolean(!r.Tap.OffShift),
		"offline":       cedar.Boolean(r.Tap.Offline),
		"elsewhere":     cedar.Boolean(len(r.Tap.Elsewhere) > 0),
		"otherStations": words(r.Tap.Elsewhere),
		"accountHeld":   cedar.Long(r.Tap.AccountHeld),
		"minuteOfWeek":  cedar.Long(c.minute),
		"minuteOfDay":   cedar.Long(c.minute % minutesOfDay),
	}
	if r.Tap.Occupant != nil {
		facts["occupant"] = uid("Person", r.Tap.Occupant.GetId())
	}
	if r.Tap.Approver != nil {
		facts["approver"] = uid("Person", r.Tap.Approver.GetId())
	}
	if r.Tap.Holder != nil {
		facts["holder"] = uid("Person", r.Tap.Holder.GetId())
	}
	return cedar.Request{
		Principal: uid("Person", r.Person.GetId()),
		Action:    uid("Action", string(r.Action)),
		Resource:  uid("Station", r.Station.GetId()),
		Context:   cedar.NewRecord(facts),
	}
}

// ValidCertifications names the certifications of a person that have not lapsed at a time.
func ValidCertifications(p *taplinev1.PersonEntry, at time.Time) []string {
	var names []string
	for _, c := range p.GetCertifications() {
		if c.GetNotAfter() == nil || at.Before(c.GetNotAfter().AsTime()) {
			names = append(names, c.GetName())
		}
	}
	return names
}

// ModeName is a mode as records and policies spell it; empty for none.
func ModeName(m taplinev1.Mode) record.Mode {
	switch m {
	case taplinev1.Mode_MODE_ATTRIBUTE:
		return record.ModeAttribute
	case taplinev1.Mode_MODE_GATE:
		return record.ModeGate
	case taplinev1.Mode_MODE_LOCK:
		return record.ModeLock
	case taplinev1.Mode_MODE_SIGNIN:
		return record.ModeSignIn
	}
	return ""
}
