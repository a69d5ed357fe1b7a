package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/proto/grant"
)

// Outcome is what came of a case.
type Outcome struct {
	List    string   `json:"list"` // "allow" or "deny"
	Number  int      `json:"case"` // from 1, in its list
	Name    string   `json:"name"`
	OK      bool     `json:"ok"`
	Allowed bool     `json:"allowed"`
	Refusal string   `json:"refusal,omitempty"`
	Rules   []string `json:"rules"`
	Problem string   `json:"problem,omitempty"` // what is not as the case says
}

// Try decides every case, and says which do not come out as they must.
func (s *Set) Try(c *Cases) []Outcome {
	var all []Outcome
	for i, one := range c.Allow {
		all = append(all, s.tryCase(c, one, "allow", i+1))
	}
	for i, one := range c.Deny {
		all = append(all, s.tryCase(c, one, "deny", i+1))
	}
	return all
}

func (s *Set) tryCase(c *Cases, one Case, list string, number int) Outcome {
	r := c.request(one)
	var d Decision
	if r.Action == OpenSession {
		d = s.Admit(r)
	} else {
		d = s.Decide(r)
	}
	o := Outcome{List: list, Number: number, Name: one.Name, Allowed: d.Allowed, Refusal: RefusalWord(d.Refusal), Rules: d.Rules}
	if o.Name == "" {
		o.Name = fmt.Sprintf("%s at %s", one.Person, one.Station)
	}
	switch {
	case len(d.Errors) > 0:
		o.Problem = "it errs: " + strings.Join(d.Errors, "; ")
	case d.Allowed != (list == "allow"):
		o.Problem = strings.TrimSuffix(strings.ToLower(d.sentence()[:1])+d.sentence()[1:], ".")
	case one.Because != "" && o.Refusal != one.Because:
		o.Problem = fmt.Sprintf("it is refused because of %s, not %s", o.Refusal, one.Because)
	default:
		for _, rule := range one.By {
			if !slices.Contains(d.Rules, rule) {
				o.Problem = fmt.Sprintf("rule %s is not among those that decided: %s", rule, strings.Join(d.Rules, ", "))
			}
		}
	}
	o.OK = o.Problem == ""
	return o
}

// request is the question of a case.
func (c *Cases) request(one Case) Request {
	at := one.At
	if at.IsZero() {
		at, _ = time.Parse(time.RFC3339, defaultCase)
	}
	s := c.Stations[one.Station]
	mode, _ := modeOf(s.Mode)
	r := Request{
		Action: one.Action, Person: c.person(one.Person), Zone: c.zone(s.Zone),
		Station: &taplinev1.Station{
			Id: one.Station, Zone: s.Zone, Account: s.Account, Mode: mode, RequiresCertifications: s.Certifications,
			RequiresAssurance: taplinev1.Assurance(s.Assurance),
		},
		Tap: Tap{
			Assurance: taplinev1.Assurance(one.Assurance), PIN: one.PIN, PINFresh: one.PINFresh, Approved: one.Approved, OffShift: one.OffShift,
			Offline: one.Offline, Elsewhere: one.Elsewhere, AccountHeld: one.Held, At: at,
		},
	}
	if r.Action == "" {
		r.Action = OpenSession
	}
	if away, err := span("away", one.Away); err == nil && one.Away != "" {
		r.Tap.LastHere = at.Add(-away)
	}
	if one.Occupant != "" {
		r.Tap.Occupant = c.person(one.Occupant)
	}
	if one.Approver != "" {
		r.Tap.Approved, r.Tap.Approver = true, c.person(one.Approver)
	}
	if one.Holder != "" {
		r.Tap.Holder = c.person(one.Holder)
	}
	return r
}

func (c *Cases) person(id string) *taplinev1.PersonEntry {
	p := c.People[id]
	return subject{id, p.Roles, p.Shifts, p.Certifications, p.Seniority, p.Suspended}.entry()
}

func (c *Cases) zone(id string) *taplinev1.Zone {
	z, ok := c.Zones[id]
	if !ok {
		return nil
	}
	mode, _ := modeOf(z.Mode)
	idle, _ := span("", z.PIN.AfterIdle)
	return &taplinev1.Zone{
		Id: id, Mode: mode, Safety: z.Safety, RequiresAssurance: taplinev1.Assurance(z.Assurance), RequiresCertifications: z.Certifications,
		Pin: pinRulesOf(&grant.PINRule{
			Always: z.PIN.Always, FirstOfShift: z.PIN.FirstOfShift, WeakBelow: z.PIN.WeakBelow,
			AfterIdleSeconds: int64(idle.Seconds()),
		}),
	}
}
