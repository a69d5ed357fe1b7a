package store

import (
	"fmt"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/proto/record"
)

// Tap is a tap that the policy has decided, with what it knew.
type Tap struct {
	Number    uint64 // in the order of the decisions
	Session   record.SessionID
	Station   record.StationID
	Person    record.PersonID
	At        time.Time
	PIN       bool // a good one was given with it
	Assurance taplinev1.Assurance
	Approved  bool
	Facts     []byte // all that the policy knew, as broker/policy writes it
}

const tapColumns = `number, session, station, person, at, pin, assurance, approved, facts`

func scanTap(r scanner) (Tap, error) {
	var t Tap
	var number, when int64
	var pin, assurance, approved int
	var facts string
	err := r.Scan(&number, &t.Session, &t.Station, &t.Person, &when, &pin, &assurance, &approved, &facts)
	t.Number, t.At, t.PIN, t.Assurance, t.Approved, t.Facts = uint64(number), at(when), pin == 1, taplinev1.Assurance(assurance), approved == 1, []byte(facts)
	return t, err
}

// AddTap keeps a decided tap; its Number is given here.
func (tx *Tx) AddTap(t Tap) error {
	if tx.engine.name() == postgresName {
		return tx.later("add tap of session "+string(t.Session), counting("taps")+`INSERT INTO taps (`+tapColumns+`) SELECT n.value, ?, ?, ?, ?, ?, ?, ?, ? FROM n`,
			string(t.Session), string(t.Station), string(t.Person), micro(t.At), flag(t.PIN), int(t.Assurance), flag(t.Approved), string(t.Facts))
	}
	number, err := tx.Next("taps", 1)
	if err == nil {
		_, err = tx.exec(`INSERT INTO taps (`+tapColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			int64(number), string(t.Session), string(t.Station), string(t.Person), micro(t.At), flag(t.PIN), int(t.Assurance), flag(t.Approved), string(t.Facts))
	}
	if err != nil {
		return fmt.Errorf("add tap of session %s: %w", t.Session, err)
	}
	return nil
}

// TapOf reads the decided tap of a session.
func (tx *Tx) TapOf(session record.SessionID) (Tap, error) {
	found, err := all(tx, scanTap, `SELECT `+tapColumns+` FROM taps WHERE session = ?`, string(session))
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Tap{}, fmt.Errorf("tap of session %s: %w", session, err)
	}
	return found[0], nil
}

// Taps reads decided taps since a time in the order of their numbers, those after a number, limit at most.
func (tx *Tx) Taps(since time.Time, after uint64, limit int) ([]Tap, error) {
	found, err := all(tx, scanTap, `SELECT `+tapColumns+` FROM taps WHERE number > ? AND at >= ? ORDER BY number LIMIT ?`, int64(after), micro(since), limit)
	if err != nil {
		return nil, fmt.Errorf("read taps: %w", err)
	}
	return found, nil
}

// LastPIN is when a person last gave a good PIN at a station; zero for never.
func (tx *Tx) LastPIN(person record.PersonID, station record.StationID) (time.Time, error) {
	var last int64
	err := tx.one(lastPIN, []any{string(person), string(station)}, &last)
	if err != nil {
		return time.Time{}, fmt.Errorf("last pin of %s: %w", person, err)
	}
	return at(last), nil
}

// LastLease is the newest lease of a person at a station, in force or not.
func (tx *Tx) LastLease(person record.PersonID, station record.StationID) (Lease, error) {
	found, err := tx.leases(lastOfPersonAt, string(person), string(station))
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("lease of %s at %s: %w", person, station, ErrNotFound)
	}
	if err != nil {
		return Lease{}, err
	}
	return found[0], nil
}
