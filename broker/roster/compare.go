package roster

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/broker/directory"
	"tapline/broker/store"
	"tapline/proto/record"
)

// Reasons of a revocation by a source.
const (
	reasonLeft     = "left"
	reasonUnlisted = "unlisted"
	reasonExpired  = "expired"
)

// again are the reasons of a revocation after which a source may give the number out again; after any other, such as lost or stolen, only an
// administrator may.
func again(reason string) bool {
	return slices.Contains([]string{reasonLeft, reasonUnlisted, reasonExpired, "returned"}, reason)
}

// plan is what a listing changes.
type plan struct {
	Outcome
	steps []step
}

func (p *plan) empty() bool { return len(p.steps) == 0 }

// step is what is written of one person.
type step struct {
	Change
	entry    *taplinev1.PersonEntry // nil when it stays
	end      bool                   // sessions end
	revoke   []revocation
	add      []store.Badge
	describe []store.Badge
}

type revocation struct{ id, reason string }

// comparison is a listing against what is stored.
type comparison struct {
	l      Listing
	now    time.Time
	known  known
	plan   plan
	going  int               // people who could work and will not
	freed  map[string]bool   // badges that are revoked in this plan, by ID
	listed map[string]string // numbers that the listing gives to somebody, by lookup; whose
}

// compare works out the plan. It writes nothing.
func (w Writer) compare(tx *store.Tx, l Listing, r Rules) (*plan, error) {
	k, err := load(tx, l)
	if err != nil {
		return nil, err
	}
	c := &comparison{l: l, now: w.Now(), known: k, freed: map[string]bool{}, listed: map[string]string{}}
	people := c.people()
	steps := make([]step, 0, len(people))
	wanted := map[record.PersonID]bool{}
	for _, p := range l.People {
		wanted[record.PersonID(p.Entry.GetId())] = true
	}
	for _, id := range c.leavers(wanted) {
		steps = append(steps, c.leave(k.people[id]))
	}
	for _, p := range people {
		steps = append(steps, c.person(p))
	}
	// Only now is it known which numbers become free.
	for i, p := range people {
		s := &steps[len(steps)-len(people)+i]
		if err := c.give(s, p); err != nil {
			return nil, err
		}
	}
	c.finish(steps, r)
	return &c.plan, nil
}

// finish counts and sorts.
func (c *comparison) finish(steps []step, r Rules) {
	for _, s := range steps {
		switch {
		case s.Kind == "" && len(s.What) == 0:
			c.plan.Unchanged++
			continue
		case s.Kind == Added:
			c.plan.Added++
		case s.Kind == Left:
			c.plan.Left++
		default:
			s.Kind = cmp.Or(s.Kind, Changed)
			c.plan.Changed++
		}
		c.plan.steps = append(c.plan.steps, s)
	}
	slices.SortFunc(c.plan.steps, func(a, b step) int { return cmp.Compare(a.Person, b.Person) })
	for _, s := range c.plan.steps {
		c.plan.Changes = append(c.plan.Changes, s.Change)
	}
	c.plan.Held = r.Brake.holds(c.known.working, c.going)
}

func (c *comparison) conflict(p Person, at, field, format string, args ...any) {
	c.plan.Conflicts = append(c.plan.Conflicts, Conflict{
		Person: record.PersonID(p.Entry.GetId()), At: cmp.Or(at, p.At), Field: field, What: fmt.Sprintf(format, args...),
	})
}

// people are those of the listing who may be written, each once.
func (c *comparison) people() []Person {
	var good []Person
	seen := map[string]string{}
	for _, p := range c.l.People {
		id := p.Entry.GetId()
		have := c.known.people[record.PersonID(id)]
		first, twice := seen[id]
		seen[id] = p.At
		err := directory.CheckPerson(p.Entry)
		switch {
		case err != nil:
			field, problem := directory.FieldOf(err)
			c.conflict(p, "", field, "%s", problem)
		case twice:
			c.conflict(p, "", "id", "%s is listed twice, first at %s", id, first)
		case have != nil && have.GetSource() != c.l.Source:
			c.conflict(p, "", "id", "%s belongs to the source %q and is left as it is; to hand it over: tapctl person put %s --source %s",
				id, have.GetSource(), id, c.l.Source)
		case !c.shifts(p):
		default:
			good = append(good, p)
		}
	}
	return good
}

func (c *comparison) shifts(p Person) bool {
	if c.l.Fields&Shifts == 0 {
		return true
	}
	for _, id := range p.Entry.GetShifts() {
		if !c.known.shifts[id] {
			c.conflict(p, "", "shifts", "there is no shift %q; make it first", id)
			return false
		}
	}
	return true
}

// leavers are people of the source who have left, by ID.
func (c *comparison) leavers(wanted map[record.PersonID]bool) []record.PersonID {
	gone := c.l.Gone
	if c.l.Complete {
		gone = nil
		for id := range c.known.people {
			gone = append(gone, id)
		}
	}
	gone = slices.Clone(gone)
	slices.Sort(gone)
	return slices.DeleteFunc(slices.Compact(gone), func(id record.PersonID) bool {
		p := c.known.people[id]
		return wanted[id] || p == nil || p.GetSource() != c.l.Source || p.GetLeftAt() != nil
	})
}

// leave is the step of somebody who has left.
func (c *comparison) leave(have *taplinev1.PersonEntry) step {
	e := proto.CloneOf(have)
	s := step{Change: Change{Person: record.PersonID(e.GetId()), Kind: Left}, entry: e, end: true}
	if !e.GetSuspended() {
		c.going++
		e.Suspended, e.SuspendedBy = true, c.l.Source
		s.What = append(s.What, "suspended")
	}
	e.LeftAt = timestamppb.New(c.now)
	for _, b := range c.known.badges[s.Person] {
		c.revoke(&s, b, reasonLeft)
	}
	return s
}

func (c *comparison) revoke(s *step, b store.Badge, reason string) {
	if !b.Revoked && !c.freed[b.ID] {
		c.freed[b.ID] = true
		s.revoke = append(s.revoke, revocation{b.ID, reason})
		s.What = append(s.What, "badge revoked")
	}
}

// person is the step of somebody who is listed, badges that are to be given left out.
func (c *comparison) person(p Person) step {
	id := record.PersonID(p.Entry.GetId())
	have := c.known.people[id]
	s := step{Change: Change{Person: id}}
	e := &taplinev1.PersonEntry{Id: string(id), Source: c.l.Source}
	if have == nil {
		s.Kind = Added
	} else {
		e = proto.CloneOf(have)
	}
	s.What = overlay(e, p.Entry, c.l.Fields)
	if e.GetDisplayName() == "" {
		e.DisplayName = string(id)
	}
	c.standing(&s, e, p.Entry)
	if have == nil || !proto.Equal(e, have) {
		s.entry = e
	}
	if c.l.Fields&Badges != 0 {
		keep := map[string]bool{}
		for _, b := range p.Badges {
			keep[string(b.Lookup)] = true
		}
		for _, b := range c.known.badges[id] {
			if b.Source == c.l.Source && !keep[string(b.Lookup)] {
				c.revoke(&s, b, reasonUnlisted)
			}
		}
	}
	if s.entry == nil && len(s.revoke) > 0 && s.Kind == "" {
		s.Kind = Changed
	}
	s.end = s.end || len(s.revoke) > 0
	return s
}

// standing works out whether the person may work.
func (c *comparison) standing(s *step, e, says *taplinev1.PersonEntry) {
	if e.GetLeftAt() != nil {
		s.Kind, e.LeftAt = Back, nil
		if e.GetSuspendedBy() == c.l.Source {
			e.Suspended, e.SuspendedBy = false, ""
		}
	}
	if c.l.Fields&Suspended == 0 {
		return
	}
	switch {
	case says.GetSuspended() && !e.GetSuspended():
		e.Suspended, e.SuspendedBy = true, c.l.Source
		s.What, s.end = append(s.What, "suspended"), true
		if have := c.known.people[s.Person]; have != nil && !have.GetSuspended() {
			c.going++
		}
	case !says.GetSuspended() && e.GetSuspended() && e.GetSuspendedBy() == c.l.Source:
		e.Suspended, e.SuspendedBy = false, ""
		s.What = append(s.What, "no longer suspended")
	}
}

// overlay takes over the fields that a source speaks of, and names those that change.
func overlay(to, from *taplinev1.PersonEntry, fields Fields) []string {
	before := proto.CloneOf(to)
	var what []string
	for _, f := range []struct {
		field Fields
		name  string
		take  func()
		same  func() bool
	}{
		{DisplayName, "display_name", func() { to.DisplayName = cmp.Or(from.GetDisplayName(), to.GetId()) }, func() bool { return to.GetDisplayName() == before.GetDisplayName() }},
		{Language, "language", func() { to.Language = from.GetLanguage() }, func() bool { return to.GetLanguage() == before.GetLanguage() }},
		{Roles, "roles", func() { to.Roles = slices.Clone(from.GetRoles()) }, func() bool { return slices.Equal(to.GetRoles(), before.GetRoles()) }},
		{Certifications, "certifications", func() { to.Certifications = proto.CloneOf(from).GetCertifications() }, func() bool {
			return proto.Equal(&taplinev1.PersonEntry{Certifications: to.GetCertifications()}, &taplinev1.PersonEntry{Certifications: before.GetCertifications()})
		}},
		{Shifts, "shifts", func() { to.Shifts = slices.Clone(from.GetShifts()) }, func() bool { return slices.Equal(to.GetShifts(), before.GetShifts()) }},
		{Seniority, "seniority", func() { to.Seniority = from.GetSeniority() }, func() bool { return to.GetSeniority() == before.GetSeniority() }},
	} {
		if fields&f.field == 0 {
			continue
		}
		if f.take(); !f.same() {
			what = append(what, f.name)
		}
	}
	return what
}

// give is the second half of a person's step: the badges that are to be given.
func (c *comparison) give(s *step, p Person) error {
	if c.l.Fields&Badges == 0 {
		return nil
	}
	for _, b := range p.Badges {
		whose, twice := c.listed[string(b.Lookup)]
		if twice && whose == p.Entry.GetId() {
			continue
		}
		if twice {
			c.conflict(p, b.At, "badge", "the number is also listed for %s", whose)
			continue
		}
		c.listed[string(b.Lookup)] = p.Entry.GetId()
		have, known := c.known.numbers[string(b.Lookup)]
		inForce := known && !have.Revoked && !c.freed[have.ID]
		if inForce && have.LostAt.IsZero() && have.Ended(c.now) && have.Person != s.Person {
			c.revoke(s, have, reasonExpired)
			inForce = false
		}
		switch {
		case inForce && have.Person != s.Person:
			c.conflict(p, b.At, "badge", "%s has this number; revoke it there first", have.Person)
		case inForce:
			c.describe(s, have, b)
		case known && have.Revoked && !c.freed[have.ID] && !again(have.Reason):
			c.conflict(p, b.At, "badge", "the number was revoked (%s); if it is good again, give it by tapctl badge assign", have.Reason)
		default:
			if err := c.add(s, b); err != nil {
				return err
			}
		}
	}
	return nil
}

// describe changes label and end of a badge that the source gave.
func (c *comparison) describe(s *step, have store.Badge, b Badge) {
	same := have.Label == b.Label && have.NotAfter.Equal(b.NotAfter)
	if have.Source != c.l.Source || same {
		return
	}
	if !b.NotAfter.IsZero() && !c.now.Before(b.NotAfter) && have.Good(c.now) {
		s.end = true
	}
	have.Label, have.NotAfter = b.Label, b.NotAfter
	s.describe = append(s.describe, have)
	s.What = append(s.What, "badge changed")
}

func (c *comparison) add(s *step, b Badge) error {
	id, err := uuid.NewV7()
	if err != nil {
		return errors.Join(errors.New("name badge"), err)
	}
	s.add = append(s.add, store.Badge{
		ID: id.String(), Person: s.Person, Lookup: b.Lookup, Number: b.Sealed, Label: b.Label, Technology: b.Technology, Assurance: b.Assurance,
		NotAfter: b.NotAfter, AssignedAt: c.now, Source: c.l.Source,
	})
	s.What = append(s.What, "badge added")
	return nil
}
