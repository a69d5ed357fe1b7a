package policy

import (
	"encoding/json"
	"fmt"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/proto/grant"
)

// facts is all that a policy can see of a tap, as it is kept for a replay. It holds no name and no badge.
type facts struct {
	Person   subject  `json:"person"`
	Station  station  `json:"station"`
	Tap      tapFacts `json:"tap"`
	Occupant *subject `json:"occupant,omitempty"`
	Approver *subject `json:"approver,omitempty"`
}

type subject struct {
	ID        string   `json:"id"`
	Roles     []string `json:"roles,omitempty"`
	Shifts    []string `json:"shifts,omitempty"`
	Certified []string `json:"certified,omitempty"` // what had not lapsed
	Seniority uint32   `json:"seniority,omitempty"`
	Suspended bool     `json:"suspended,omitempty"`
}

// station has the demands of the station and its zone together.
type station struct {
	ID        string              `json:"id"`
	Zone      string              `json:"zone,omitempty"`
	Account   string              `json:"account,omitempty"`
	Mode      taplinev1.Mode      `json:"mode,omitempty"`
	Certified []string            `json:"certified,omitempty"`
	Assurance taplinev1.Assurance `json:"assurance,omitempty"`
	PIN       *grant.PINRule      `json:"pin,omitempty"`
	Safety    bool                `json:"safety,omitempty"`
}

type tapFacts struct {
	At        time.Time           `json:"at"`
	Assurance taplinev1.Assurance `json:"assurance,omitempty"`
	PIN       bool                `json:"pin,omitempty"`
	Fresh     bool                `json:"fresh,omitempty"`
	LastHere  *time.Time          `json:"last_here,omitempty"`
	Approved  bool                `json:"approved,omitempty"`
	OffShift  bool                `json:"off_shift,omitempty"`
	Offline   bool                `json:"offline,omitempty"`
	Elsewhere []string            `json:"elsewhere,omitempty"`
	Held      int                 `json:"held,omitempty"`
}

func subjectOf(p *taplinev1.PersonEntry, at time.Time) subject {
	return subject{p.GetId(), p.GetRoles(), p.GetShifts(), ValidCertifications(p, at), p.GetSeniority(), p.GetSuspended()}
}

func subjectIf(p *taplinev1.PersonEntry, at time.Time) *subject {
	if p == nil {
		return nil
	}
	s := subjectOf(p, at)
	return &s
}

func (s subject) entry() *taplinev1.PersonEntry {
	p := &taplinev1.PersonEntry{Id: s.ID, Roles: s.Roles, Shifts: s.Shifts, Seniority: s.Seniority, Suspended: s.Suspended}
	for _, name := range s.Certified {
		p.Certifications = append(p.Certifications, &taplinev1.Certification{Name: name})
	}
	return p
}

// Facts is all that the policy can see of a tap, for ReadFacts to put the same question again, however the directory has changed.
func (r Request) Facts() ([]byte, error) {
	d, t := DemandsOf(r.Station, r.Zone), r.Tap
	f := facts{
		Person: subjectOf(r.Person, t.At),
		Station: station{
			ID: r.Station.GetId(), Zone: r.Station.GetZone(), Account: r.Station.GetAccount(), Mode: d.Mode, Certified: d.Certifications,
			Assurance: d.Assurance, Safety: d.Safety,
		},
		Tap: tapFacts{
			At: t.At.UTC(), Assurance: t.Assurance, PIN: t.PIN, Fresh: t.PINFresh, Approved: t.Approved, OffShift: t.OffShift, Offline: t.Offline,
			Elsewhere: t.Elsewhere, Held: t.AccountHeld,
		},
	}
	if d.PIN != (grant.PINRule{}) {
		f.Station.PIN = &d.PIN
	}
	if !t.LastHere.IsZero() {
		f.Tap.LastHere = &t.LastHere
	}
	f.Occupant, f.Approver = subjectIf(t.Occupant, t.At), subjectIf(t.Approver, t.At)
	b, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encode facts: %w", err)
	}
	return b, nil
}

// ReadFacts reads back what Facts wrote, as a question about opening a session.
func ReadFacts(b []byte) (Request, error) {
	var f facts
	if err := json.Unmarshal(b, &f); err != nil {
		return Request{}, fmt.Errorf("decode facts: %w", err)
	}
	r := Request{
		Action: OpenSession, Person: f.Person.entry(),
		Station: &taplinev1.Station{
			Id: f.Station.ID, Zone: f.Station.Zone, Account: f.Station.Account, Mode: f.Station.Mode,
			RequiresCertifications: f.Station.Certified, RequiresAssurance: f.Station.Assurance,
		},
		Zone: &taplinev1.Zone{Id: f.Station.Zone, Safety: f.Station.Safety, Pin: pinRulesOf(f.Station.PIN)},
		Tap: Tap{
			At: f.Tap.At, Assurance: f.Tap.Assurance, PIN: f.Tap.PIN, PINFresh: f.Tap.Fresh, Approved: f.Tap.Approved, OffShift: f.Tap.OffShift,
			Offline: f.Tap.Offline, Elsewhere: f.Tap.Elsewhere, AccountHeld: f.Tap.Held,
		},
	}
	if f.Tap.LastHere != nil {
		r.Tap.LastHere = *f.Tap.LastHere
	}
	if f.Occupant != nil {
		r.Tap.Occupant = f.Occupant.entry()
	}
	if f.Approver != nil {
		r.Tap.Approver = f.Approver.entry()
	}
	return r, nil
}
