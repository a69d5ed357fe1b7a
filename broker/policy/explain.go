package policy

import (
	"fmt"
	"slices"
	"strings"

	taplinev1 "tapline/proto/tapline/v1"

	"github.com/cedar-policy/cedar-go"
	xast "github.com/cedar-policy/cedar-go/x/exp/ast"

	"tapline/proto/grant"
)

// Explanation is a decision with what it rests on.
type Explanation struct {
	Decision
	Notes    []string // what was known, and which rules decided
	Remedies []string // what would change the answer; empty when nothing that is known would
}

// Explain answers a tap as Admit does, and says why.
func (s *Set) Explain(r Request) Explanation {
	r.Action = OpenSession
	e := Explanation{Decision: s.Admit(r)}
	e.say("%s", e.Decision.sentence())
	e.say("%s has the roles [%s] and the valid certifications [%s], seniority %d.", r.Person.GetId(), strings.Join(r.Person.GetRoles(), ", "),
		strings.Join(ValidCertifications(r.Person, r.Tap.At), ", "), r.Person.GetSeniority())
	e.demands(r)
	e.circumstances(r)
	if PINRuleOf(r.Zone) != (grant.PINRule{}) && !s.Asks("pinDue") {
		e.say("No rule looks at context.pinDue, so the zone's rules about PINs have no effect.")
	}
	if !e.Allowed && len(e.Errors) == 0 {
		e.Remedies = s.remedies(r)
	}
	return e
}

func (e *Explanation) say(format string, args ...any) {
	e.Notes = append(e.Notes, fmt.Sprintf(format, args...))
}

func (d Decision) sentence() string {
	switch {
	case len(d.Errors) > 0:
		return fmt.Sprintf("The policy could not be evaluated, so the tap is refused: %s.", strings.Join(d.Errors, "; "))
	case d.Moves:
		return fmt.Sprintf("Permitted by %s; the person's sessions elsewhere end.", strings.Join(d.Rules, ", "))
	case d.Allowed:
		return fmt.Sprintf("Permitted by %s.", strings.Join(d.Rules, ", "))
	case len(d.Rules) == 0:
		return "No rule permits it."
	}
	return fmt.Sprintf("Forbidden by %s.", strings.Join(d.Rules, ", "))
}

// demands says what station and zone ask for.
func (e *Explanation) demands(r Request) {
	d := DemandsOf(r.Station, r.Zone)
	var asks []string
	if len(d.Certifications) > 0 {
		asks = append(asks, fmt.Sprintf("the certifications [%s]", strings.Join(d.Certifications, ", ")))
	}
	if d.Assurance > 0 {
		asks = append(asks, "a badge of assurance "+assurance(d.Assurance))
	}
	where := r.Station.GetId()
	if z := r.Station.GetZone(); z != "" {
		where += ", in zone " + z + ","
	}
	if len(asks) > 0 {
		e.say("%s asks for %s; the badge has assurance %s.", where, strings.Join(asks, " and "), assurance(r.Tap.Assurance))
	} else {
		e.say("%s asks for nothing special; the badge has assurance %s.", where, assurance(r.Tap.Assurance))
	}
	if d.Safety {
		e.say("The zone is a safety zone: its stations only attribute.")
	}
}

// circumstances says what else was known.
func (e *Explanation) circumstances(r Request) {
	if r.Tap.OffShift {
		e.say("%s is in none of their shifts [%s].", r.Person.GetId(), strings.Join(r.Person.GetShifts(), ", "))
	}
	switch {
	case r.PINDue() && !r.Tap.PIN:
		e.say("The zone's rules ask for a PIN now, and none is given.")
	case r.PINDue():
		e.say("The zone's rules ask for a PIN now, and a good one is given.")
	case r.Tap.PINFresh:
		e.say("A PIN was given here in this shift.")
	}
	if len(r.Tap.Elsewhere) > 0 {
		e.say("%s has a session at %s.", r.Person.GetId(), strings.Join(r.Tap.Elsewhere, ", "))
	}
	if a := r.Tap.Approver; a != nil {
		e.say("%s approves, with the roles [%s].", a.GetId(), strings.Join(a.GetRoles(), ", "))
	}
	if o := r.Tap.Occupant; o != nil {
		e.say("%s is at the station now.", o.GetId())
	}
	if n := r.Tap.AccountHeld; n > 0 {
		e.say("The account is held by %d sessions at other stations.", n)
	}
}

// assurance is a strength with its word.
func assurance(a taplinev1.Assurance) string {
	word := strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(a.String(), "ASSURANCE_")), "_", " ")
	if a == taplinev1.Assurance_ASSURANCE_UNSPECIFIED {
		word = "bare number"
	}
	return fmt.Sprintf("%d (%s)", a, word)
}

// change is something that may be different at another try.
type change struct {
	with string
	make func(*Request)
}

// remedies tries what may be different: one thing, or two together where one is not enough.
func (s *Set) remedies(r Request) []string {
	changes := s.changes(r)
	var found []string
	for _, c := range changes {
		if d := s.tried(r, c); d.Allowed {
			found = append(found, fmt.Sprintf("With %s it would be allowed, by %s.", c.with, strings.Join(d.Rules, ", ")))
		}
	}
	for i := 0; len(found) == 0 && i < len(changes); i++ {
		for _, second := range changes[i+1:] {
			if d := s.tried(r, changes[i], second); d.Allowed {
				found = append(found, fmt.Sprintf("With %s and %s it would be allowed, by %s.", changes[i].with, second.with, strings.Join(d.Rules, ", ")))
			}
		}
	}
	return found
}

func (s *Set) tried(r Request, all ...change) Decision {
	p := &taplinev1.PersonEntry{
		Id: r.Person.GetId(), Roles: slices.Clone(r.Person.GetRoles()), Shifts: r.Person.GetShifts(), Suspended: r.Person.GetSuspended(),
		Certifications: slices.Clone(r.Person.GetCertifications()), Seniority: r.Person.GetSeniority(),
	}
	r.Person = p
	for _, c := range all {
		c.make(&r)
	}
	return s.Admit(r)
}

// maxRoles bounds how many roles are tried.
const maxRoles = 20

// changes are those that are not so already.
func (s *Set) changes(r Request) []change {
	var all []change
	if !r.Tap.PIN {
		all = append(all, change{"a PIN", func(r *Request) { r.Tap.PIN = true }})
	}
	for a := r.Tap.Assurance + 1; a <= taplinev1.Assurance_ASSURANCE_PUBLIC_KEY_PROOF; a++ {
		c := change{"a badge of assurance " + assurance(a), func(r *Request) { r.Tap.Assurance = a }}
		if all = append(all, c); s.tried(r, c).Allowed {
			break // a stronger one is not needed
		}
	}
	if !r.Tap.Approved {
		all = append(all, change{"a second person's approval", func(r *Request) { r.Tap.Approved = true }})
	}
	if s.Asks("approver") {
		for i, role := range s.roles() {
			if i < maxRoles {
				another := &taplinev1.PersonEntry{Id: "another person", Roles: []string{role}}
				all = append(all, change{"the approval of somebody with the role " + role, func(r *Request) { r.Tap.Approved, r.Tap.Approver = true, another }})
			}
		}
	}
	if r.Tap.OffShift {
		all = append(all, change{"the person in shift", func(r *Request) { r.Tap.OffShift = false }})
	}
	if len(r.Tap.Elsewhere) > 0 {
		all = append(all, change{"the sessions at " + strings.Join(r.Tap.Elsewhere, ", ") + " ended", func(r *Request) { r.Tap.Elsewhere = nil }})
	}
	if r.Person.GetSuspended() {
		all = append(all, change{"the suspension lifted", func(r *Request) { r.Person.Suspended = false }})
	}
	if missing := r.missing(); len(missing) > 0 {
		all = append(all, change{"the certifications [" + strings.Join(missing, ", ") + "]", func(r *Request) {
			for _, name := range missing {
				r.Person.Certifications = append(r.Person.Certifications, &taplinev1.Certification{Name: name})
			}
		}})
	}
	for i, role := range s.roles() {
		if i < maxRoles && !slices.Contains(r.Person.GetRoles(), role) {
			all = append(all, change{"the role " + role, func(r *Request) { r.Person.Roles = append(r.Person.Roles, role) }})
		}
	}
	return all
}

// missing are the certifications that the station asks for and the person lacks.
func (r Request) missing() []string {
	valid := ValidCertifications(r.Person, r.Tap.At)
	return slices.DeleteFunc(DemandsOf(r.Station, r.Zone).Certifications, func(name string) bool { return slices.Contains(valid, name) })
}

// roles are those that the rules name, sorted.
func (s *Set) roles() []string {
	var all []string
	add := func(e cedar.EntityUID) {
		if e.Type == "Role" {
			all = append(all, string(e.ID))
		}
	}
	for _, r := range s.rules {
		add(scopeEntity(r.tree.Principal))
		for _, c := range r.tree.Conditions {
			xast.Inspect(xast.NewNode(c.Body), func(n xast.IsNode) bool {
				if v, ok := n.(xast.NodeValue); ok {
					if e, ok := v.Value.(cedar.EntityUID); ok {
						add(e)
					}
				}
				return true
			})
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
