package store

import (
	"fmt"

	taplinev1 "tapline/proto/tapline/v1"
)

func scanShift(r scanner) (*taplinev1.Shift, error) {
	var doc string
	var revision int64
	if err := r.Scan(&doc, &revision); err != nil {
		return nil, err
	}
	s := &taplinev1.Shift{}
	if err := readDocument(doc, s); err != nil {
		return nil, err
	}
	s.Revision = uint64(revision)
	return s, nil
}

// Shift reads one shift.
func (tx *Tx) Shift(id string) (*taplinev1.Shift, error) {
	found, err := all(tx, scanShift, `SELECT doc, revision FROM shifts WHERE id = ?`, id)
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("shift %s: %w", id, err)
	}
	return found[0], nil
}

// PutShift writes s and gives its new revision. If s has a revision, the stored one must be the same: ErrRevision.
func (tx *Tx) PutShift(s *taplinev1.Shift) (uint64, error) {
	doc, err := document(s)
	if err != nil {
		return 0, fmt.Errorf("put shift %s: %w", s.GetId(), err)
	}
	revision, err := tx.put("shifts", s.GetId(), doc, s.GetRevision())
	if err == nil {
		_, err = tx.exec(`UPDATE shifts SET name = ? WHERE id = ?`, s.GetName(), s.GetId())
	}
	if err != nil {
		return 0, fmt.Errorf("put shift %s: %w", s.GetId(), err)
	}
	return revision, nil
}

// Shifts lists shifts by ID.
func (tx *Tx) Shifts(p Page) ([]*taplinev1.Shift, error) {
	found, err := all(tx, scanShift, `SELECT doc, revision FROM shifts WHERE id > ? AND (LOWER(id) LIKE ? ESCAPE '\' OR LOWER(name) LIKE ? ESCAPE '\')
		ORDER BY id LIMIT ?`, p.After, p.like(), p.like(), p.Size)
	if err != nil {
		return nil, fmt.Errorf("list shifts: %w", err)
	}
	return found, nil
}

// EveryShift reads all shifts.
func (tx *Tx) EveryShift() ([]*taplinev1.Shift, error) {
	found, err := all(tx, scanShift, `SELECT doc, revision FROM shifts ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("read shifts: %w", err)
	}
	return found, nil
}

// DeleteShift removes a shift.
func (tx *Tx) DeleteShift(id string) error {
	return tx.remove("shift", `DELETE FROM shifts WHERE id = ?`, id)
}

// EveryPerson reads all people, by ID.
func (tx *Tx) EveryPerson() ([]*taplinev1.PersonEntry, error) {
	found, err := all(tx, func(r scanner) (*taplinev1.PersonEntry, error) {
		var doc string
		var revision int64
		if err := r.Scan(&doc, &revision); err != nil {
			return nil, err
		}
		return readPerson(doc, revision)
	}, `SELECT doc, revision FROM people ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("read people: %w", err)
	}
	return found, nil
}
