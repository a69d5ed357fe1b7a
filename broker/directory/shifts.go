package directory

import (
	"errors"
	"fmt"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/shift"
	"tapline/broker/store"
	"tapline/proto/record"
	"tapline/proto/wire"
)

// Shifts reads the shifts, for asking whether people are within theirs. One that cannot be read covers nothing, as one that is not there.
func Shifts(tx *store.Tx) (shift.Plan, error) {
	entries, err := tx.EveryShift()
	if err != nil {
		return nil, fmt.Errorf("shifts: %w", err)
	}
	plan := make(shift.Plan, len(entries))
	for _, e := range entries {
		if s, err := shift.Parse(e); err == nil {
			plan[e.GetId()] = s
		}
	}
	return plan, nil
}

// CheckReferences checks that what a person's entry refers to is there.
func CheckReferences(tx *store.Tx, p *taplinev1.PersonEntry) error {
	for _, id := range p.GetShifts() {
		_, err := tx.Shift(id)
		if errors.Is(err, store.ErrNotFound) {
			return wire.E(wire.Invalid, "person.shifts: there is no shift %q; make it first", id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Suspend notes in an entry that an administrator writes who suspended the person, and that they are back when nobody does.
func Suspend(tx *store.Tx, p *taplinev1.PersonEntry) error {
	if !p.GetSuspended() {
		p.SuspendedBy, p.LeftAt = "", nil
		return nil
	}
	before, err := tx.Person(record.PersonID(p.GetId()))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	p.SuspendedBy, p.LeftAt = before.GetSuspendedBy(), before.GetLeftAt()
	if p.GetSuspendedBy() == "" {
		p.SuspendedBy = Local
	}
	return nil
}

// Local is the source of what administrators enter.
const Local = "local"
