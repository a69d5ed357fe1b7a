package policy

import (
	"strings"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

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
)

// Request is one question.
type Request struct {
	Action  Action
	Person  *taplinev1.PersonEntry
	Station *taplinev1.Station
	Tap     Tap
}

// Tap is what is known of the tap beside who and where.
type Tap struct {
	Assurance taplinev1.Assurance
	PIN       bool // a good one was given
	Approved  bool // by a second person
	Offline   bool // the question is what the station may decide alone
	Elsewhere bool // the person has a session at another station
	At        time.Time
}

// cedarRequest is the question in Cedar's words.
func (r Request) cedarRequest() cedar.Request {
	at := r.Tap.At.UTC()
	minute := at.Hour()*60 + at.Minute()
	day := (int(at.Weekday()) + 6) % 7 // Monday is 0
	return cedar.Request{
		Principal: uid("Person", r.Person.GetId()),
		Action:    uid("Action", string(r.Action)),
		Resource:  uid("Station", r.Station.GetId()),
		Context: cedar.NewRecord(cedar.RecordMap{
			"assurance":    cedar.Long(r.Tap.Assurance),
			"pin":          cedar.Boolean(r.Tap.PIN),
			"approved":     cedar.Boolean(r.Tap.Approved),
			"offline":      cedar.Boolean(r.Tap.Offline),
			"elsewhere":    cedar.Boolean(r.Tap.Elsewhere),
			"minuteOfWeek": cedar.Long(day*24*60 + minute),
			"minuteOfDay":  cedar.Long(minute),
		}),
	}
}

// entities is who and where in Cedar's words.
func (r Request) entities() cedar.EntityMap {
	m := cedar.EntityMap{}
	person := uid("Person", r.Person.GetId())
	m[person] = cedar.Entity{
		UID:     person,
		Parents: add(m, "Role", r.Person.GetRoles()),
		Attributes: cedar.NewRecord(cedar.RecordMap{
			"suspended":      cedar.Boolean(r.Person.GetSuspended()),
			"seniority":      cedar.Long(r.Person.GetSeniority()),
			"shifts":         words(r.Person.GetShifts()),
			"certifications": words(ValidCertifications(r.Person, r.Tap.At)),
		}),
	}
	station := uid("Station", r.Station.GetId())
	parents := []cedar.EntityUID{places(m, r.Station.GetId())}
	if zone := r.Station.GetZone(); zone != "" {
		parents = append(parents, uid("Zone", zone))
		m[parents[1]] = cedar.Entity{UID: parents[1]}
	}
	m[station] = cedar.Entity{
		UID:     station,
		Parents: cedar.NewEntityUIDSet(parents...),
		Attributes: cedar.NewRecord(cedar.RecordMap{
			"mode":                   cedar.String(ModeName(r.Station.GetMode())),
			"account":                cedar.String(r.Station.GetAccount()),
			"requiresCertifications": words(r.Station.GetRequiresCertifications()),
			"requiresAssurance":      cedar.Long(r.Station.GetRequiresAssurance()),
		}),
	}
	return m
}

// places adds the levels above a station and gives the lowest.
func places(m cedar.EntityMap, station string) cedar.EntityUID {
	levels := strings.Split(station, "/")
	var lowest cedar.EntityUID
	for i := range levels[:len(levels)-1] {
		place := uid("Place", strings.Join(levels[:i+1], "/"))
		e := cedar.Entity{UID: place}
		if i > 0 {
			e.Parents = cedar.NewEntityUIDSet(lowest)
		}
		m[place], lowest = e, place
	}
	return lowest
}

// add adds entities without attributes and gives them as a set.
func add(m cedar.EntityMap, kind cedar.EntityType, ids []string) cedar.EntityUIDSet {
	all := make([]cedar.EntityUID, 0, len(ids))
	for _, id := range ids {
		u := uid(kind, id)
		m[u] = cedar.Entity{UID: u}
		all = append(all, u)
	}
	return cedar.NewEntityUIDSet(all...)
}

func uid(kind cedar.EntityType, id string) cedar.EntityUID {
	return cedar.NewEntityUID(kind, cedar.String(id))
}

func words(all []string) cedar.Set {
	values := make([]cedar.Value, 0, len(all))
	for _, w := range all {
		values = append(values, cedar.String(w))
	}
	return cedar.NewSet(values...)
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
