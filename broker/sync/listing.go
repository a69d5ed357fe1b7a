package sync

import (
	"slices"

	"tapline/broker/ldap"
	"tapline/broker/roster"
	"tapline/broker/store"
	"tapline/proto/record"
)

// draft is a listing for the roster, with the entries as they are to be kept.
type draft struct {
	listing roster.Listing
	keep    []store.Synced
	forget  []string
	joined  int // of keep, those that are new
	faults  []Fault
}

// draftOf makes a listing of news. sourced are the people whom the store says come from the directory.
func draftOf(m mapper, n news, i image, sourced []record.PersonID) draft {
	d := draft{listing: roster.Listing{Source: roster.LDAP, Fields: m.fields()}, faults: n.faults}
	there := map[string]bool{}
	for _, f := range n.found {
		there[f.key.String()] = true
	}
	gone := n.gone
	if n.full {
		gone = nil
		for key := range i.known {
			if !there[key] {
				gone = append(gone, key)
			}
		}
	}
	left := map[string]bool{}
	for _, key := range gone {
		left[key] = true
		d.forget = append(d.forget, key)
		d.listing.Gone = append(d.listing.Gone, i.known[key].Person)
	}
	// Those who are known come first: an ID is whose it was.
	slices.SortStableFunc(n.found, func(a, b found) int {
		_, x := i.known[a.key.String()]
		_, y := i.known[b.key.String()]
		switch {
		case x == y:
			return 0
		case x:
			return -1
		}
		return 1
	})
	listed := map[string]string{}
	for _, f := range n.found {
		d.take(m, n, i, f, left, listed)
	}
	if n.full { // people of the source whom no entry stands for: the list of entries was lost, or they were handed over to it
		for _, id := range sourced {
			if listed[string(id)] == "" {
				d.listing.Gone = append(d.listing.Gone, id)
			}
		}
	}
	slices.Sort(d.forget)
	return d
}

// take adds one entry.
func (d *draft) take(m mapper, n news, i image, f found, left map[string]bool, listed map[string]string) {
	key := f.key.String()
	p := f.person.Entry
	before, known := i.known[key]
	if known {
		if p.GetId() != string(before.Person) && p.GetId() != "" {
			f.fault(m.cfg.Map.ID, "the ID is another one now; the person stays %s, as records know them", before.Person)
		}
		p.Id = string(before.Person)
	}
	d.faults = append(d.faults, f.faults...)
	if p.GetId() == "" {
		return
	}
	owner, owned := i.owners[p.GetId()]
	if first := listed[p.GetId()]; first != "" || owned && owner != key && !left[owner] {
		d.faults = append(d.faults, Fault{Person: p.GetId(), Entry: f.person.At, Attribute: m.cfg.Map.ID, What: "another entry has the same ID; this one is passed over"})
		return
	}
	listed[p.GetId()] = f.person.At
	roles := before.Roles
	if n.grouped {
		roles = n.members.of(m.kind, key, f.person.At)
	}
	p.Roles = append(p.Roles, roles...)
	slices.Sort(p.Roles)
	p.Roles = slices.Compact(p.Roles)
	d.listing.People = append(d.listing.People, f.person)
	now := store.Synced{Key: key, Person: record.PersonID(p.GetId()), Name: f.person.At, Roles: roles, LapsesAt: f.lapsesAt}
	d.keep = append(d.keep, now)
	if !known {
		d.joined++
	}
}

// conflicts marks the entries of people in conflict, to be read again with the next change: what is in their way may go without a change of theirs.
func (d *draft) conflicts(all []roster.Conflict) {
	in := map[record.PersonID]bool{}
	for _, c := range all {
		in[c.Person] = true
		d.faults = append(d.faults, Fault{Person: string(c.Person), Entry: c.At, Attribute: c.Field, What: c.What})
	}
	for i := range d.keep {
		d.keep[i].Again = in[d.keep[i].Person]
	}
}

// write keeps what changed of the entries.
func (d *draft) write(tx *store.Tx, i image) error {
	for _, key := range d.forget {
		if err := tx.DeleteSynced(roster.LDAP, key); err != nil {
			return err
		}
	}
	for _, e := range d.keep {
		have, known := i.known[e.Key]
		same := have.Person == e.Person && have.Name == e.Name && slices.Equal(have.Roles, e.Roles) && have.LapsesAt.Equal(e.LapsesAt) && have.Again == e.Again
		if known && same {
			continue
		}
		if err := tx.PutSynced(roster.LDAP, e); err != nil {
			return err
		}
	}
	return nil
}

// learned says in a word how changes are learned.
func learned(f ldap.Facts, cfg Config, cookie []byte) string {
	switch {
	case f.Kind == ldap.Other || len(cookie) == 0:
		return "read"
	case f.Watches() && !cfg.NoWatch:
		return "called"
	}
	return "asked"
}
