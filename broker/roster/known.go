package roster

import (
	"errors"
	"slices"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/store"
	"tapline/proto/record"
)

// known is what of the directory a listing is compared with.
type known struct {
	people  map[record.PersonID]*taplinev1.PersonEntry
	badges  map[record.PersonID][]store.Badge // those in force
	numbers map[string]store.Badge            // by lookup: the one in force, else the one that was revoked last
	shifts  map[string]bool
	working int // people of the source who may work
}

// load reads everything, or only what a listing of a single person names.
func load(tx *store.Tx, l Listing) (known, error) {
	k := known{
		people: map[record.PersonID]*taplinev1.PersonEntry{}, badges: map[record.PersonID][]store.Badge{},
		numbers: map[string]store.Badge{}, shifts: map[string]bool{},
	}
	shifts, err := tx.EveryShift()
	if err != nil {
		return k, err
	}
	for _, s := range shifts {
		k.shifts[s.GetId()] = true
	}
	if l.Complete || len(l.People)+len(l.Gone) > 1 { // the brake has to know how many there are
		err = k.all(tx)
	} else {
		err = k.named(tx, l)
	}
	for _, p := range k.people {
		if p.GetSource() == l.Source && !p.GetSuspended() {
			k.working++
		}
	}
	return k, err
}

func (k known) all(tx *store.Tx) error {
	people, err := tx.EveryPerson()
	if err != nil {
		return err
	}
	badges, err := tx.EveryBadge()
	if err != nil {
		return err
	}
	for _, p := range people {
		k.people[record.PersonID(p.GetId())] = p
	}
	for _, b := range badges {
		k.note(b)
	}
	return nil
}

func (k known) note(b store.Badge) {
	k.numbers[string(b.Lookup)] = b
	if !b.Revoked {
		k.badges[b.Person] = append(k.badges[b.Person], b)
	}
}

func (k known) named(tx *store.Tx, l Listing) error {
	ids := slices.Clone(l.Gone)
	for _, p := range l.People {
		ids = append(ids, record.PersonID(p.Entry.GetId()))
		for _, b := range p.Badges {
			have, err := tx.BadgeByLookup(b.Lookup)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			k.numbers[string(b.Lookup)] = have
		}
	}
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		p, err := tx.Person(id)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		k.people[id] = p
		badges, err := tx.BadgesOf(id)
		if err != nil {
			return err
		}
		for _, b := range badges {
			if !b.Revoked {
				k.badges[id] = append(k.badges[id], b)
			}
		}
	}
	return nil
}
