package store

import (
	"errors"
	"fmt"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/proto/record"
)

// Person reads one person.
func (tx *Tx) Person(id record.PersonID) (*taplinev1.PersonEntry, error) {
	var doc string
	var revision int64
	if err := tx.one(personByID, []any{string(id)}, &doc, &revision); err != nil {
		return nil, fmt.Errorf("person %s: %w", id, err)
	}
	return readPerson(doc, revision)
}

func readPerson(doc string, revision int64) (*taplinev1.PersonEntry, error) {
	p := &taplinev1.PersonEntry{}
	if err := readDocument(doc, p); err != nil {
		return nil, fmt.Errorf("read person: %w", err)
	}
	p.Revision = uint64(revision)
	return p, nil
}

// PutPerson writes p and gives its new revision. If p has a revision, the stored one must be the same: ErrRevision.
func (tx *Tx) PutPerson(p *taplinev1.PersonEntry) (uint64, error) {
	doc, err := document(p)
	if err != nil {
		return 0, fmt.Errorf("put person %s: %w", p.GetId(), err)
	}
	revision, err := tx.put("people", p.GetId(), doc, p.GetRevision())
	if err != nil {
		return 0, fmt.Errorf("put person %s: %w", p.GetId(), err)
	}
	return revision, tx.later("put person "+p.GetId(), `UPDATE people SET name = ? WHERE id = ?`, p.GetDisplayName(), p.GetId())
}

// put writes a document of the directory under optimistic locking.
func (tx *Tx) put(table, id, doc string, revision uint64) (uint64, error) {
	var have int64
	err := tx.one(`SELECT revision FROM `+table+` WHERE id = ?`, []any{id}, &have)
	switch {
	case errors.Is(err, ErrNotFound) && revision != 0:
		return 0, ErrRevision
	case errors.Is(err, ErrNotFound):
		return 1, tx.later("add "+id+" to "+table, insertDocument(table), id, doc) // nobody else writes meanwhile
	case err != nil:
		return 0, err
	case revision != 0 && uint64(have) != revision:
		return 0, ErrRevision
	}
	return uint64(have) + 1, tx.later("change "+id+" in "+table, `UPDATE `+table+` SET doc = ?, revision = revision + 1 WHERE id = ?`, doc, id)
}

func insertDocument(table string) string {
	switch table {
	case "people":
		return `INSERT INTO people (id, doc, revision, name) VALUES (?, ?, 1, '')`
	case "shifts":
		return `INSERT INTO shifts (id, doc, revision, name) VALUES (?, ?, 1, '')`
	case "stations":
		return `INSERT INTO stations (id, doc, revision, state) VALUES (?, ?, 1, 1)`
	}
	if table == "zones" {
		return `INSERT INTO zones (id, doc, revision) VALUES (?, ?, 1)`
	}
	return `INSERT INTO accounts (id, doc, revision) VALUES (?, ?, 1)`
}

// People lists people by ID.
func (tx *Tx) People(p Page) ([]*taplinev1.PersonEntry, error) {
	found, err := all(tx, func(r scanner) (*taplinev1.PersonEntry, error) {
		var doc string
		var revision int64
		if err := r.Scan(&doc, &revision); err != nil {
			return nil, err
		}
		return readPerson(doc, revision)
	}, `SELECT doc, revision FROM people WHERE id > ? AND (LOWER(id) LIKE ? ESCAPE '\' OR LOWER(name) LIKE ? ESCAPE '\')
		ORDER BY id LIMIT ?`, p.After, p.like(), p.like(), p.Size)
	if err != nil {
		return nil, fmt.Errorf("list people: %w", err)
	}
	return found, nil
}

// DeletePerson removes a person and the person's PIN. Badges must be gone before.
func (tx *Tx) DeletePerson(id record.PersonID) error {
	if _, err := tx.exec(`DELETE FROM pins WHERE person = ?`, string(id)); err != nil {
		return fmt.Errorf("delete person %s: %w", id, err)
	}
	return tx.remove("person", `DELETE FROM people WHERE id = ?`, string(id))
}

// remove deletes one row, which must be there.
func (tx *Tx) remove(what, query, id string) error {
	n, err := tx.exec(query, id)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("delete %s %s: %w", what, id, err)
	}
	return nil
}

// PIN reads the verifier of a person's PIN; empty when none is set.
func (tx *Tx) PIN(id record.PersonID) (string, error) {
	var verifier string
	err := tx.one(`SELECT verifier FROM pins WHERE person = ?`, []any{string(id)}, &verifier)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return "", fmt.Errorf("pin of %s: %w", id, err)
	}
	return verifier, nil
}

// EveryPIN reads the verifiers of all PINs.
func (tx *Tx) EveryPIN() (map[record.PersonID]string, error) {
	type pin struct{ person, verifier string }
	found, err := all(tx, func(r scanner) (p pin, err error) { return p, r.Scan(&p.person, &p.verifier) }, `SELECT person, verifier FROM pins`)
	if err != nil {
		return nil, fmt.Errorf("read pins: %w", err)
	}
	pins := make(map[record.PersonID]string, len(found))
	for _, p := range found {
		pins[record.PersonID(p.person)] = p.verifier
	}
	return pins, nil
}

// PutPIN sets the verifier of a person's PIN; an empty one clears it.
func (tx *Tx) PutPIN(id record.PersonID, verifier string, now time.Time) error {
	_, err := tx.exec(`DELETE FROM pins WHERE person = ?`, string(id))
	if err == nil && verifier != "" {
		_, err = tx.exec(`INSERT INTO pins (person, verifier, set_at) VALUES (?, ?, ?)`, string(id), verifier, micro(now))
	}
	if err == nil {
		_, err = tx.exec(`DELETE FROM pin_tries WHERE person = ?`, string(id))
	}
	if err != nil {
		return fmt.Errorf("put pin of %s: %w", id, err)
	}
	return nil
}

// PINTries is how often a wrong PIN was given in a row, and until when no more is taken.
type PINTries struct {
	Wrong       int
	LockedUntil time.Time
}

// PINTries reads the tries of a person at a station.
func (tx *Tx) PINTries(id record.PersonID, station record.StationID) (PINTries, error) {
	var t PINTries
	var until int64
	err := tx.one(`SELECT wrong, locked_until FROM pin_tries WHERE person = ? AND station = ?`,
		[]any{string(id), string(station)}, &t.Wrong, &until)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return t, fmt.Errorf("pin tries of %s: %w", id, err)
	}
	t.LockedUntil = at(until)
	return t, nil
}

// PutPINTries writes the tries of a person at a station.
func (tx *Tx) PutPINTries(id record.PersonID, station record.StationID, t PINTries) error {
	_, err := tx.exec(`INSERT INTO pin_tries (person, station, wrong, locked_until) VALUES (?, ?, ?, ?)
		ON CONFLICT (person, station) DO UPDATE SET wrong = excluded.wrong, locked_until = excluded.locked_until`,
		string(id), string(station), t.Wrong, micro(t.LockedUntil))
	if err != nil {
		return fmt.Errorf("put pin tries of %s: %w", id, err)
	}
	return nil
}
