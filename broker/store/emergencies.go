package store

import (
	"errors"
	"fmt"
	"time"

	"tapline/proto/record"
)

// EmergencyEntry is an emergency and who has answered for it, as the records tell it.
type EmergencyEntry struct {
	ID        record.SessionID
	Chain     record.ChainID
	Station   record.StationID
	OpenedAt  time.Time
	Reason    record.Reason
	Missing   int       // people who still have to answer for it
	AlarmedAt time.Time // zero before the alarm that they did not in time
}

// EmergencyClaim is one person's answer.
type EmergencyClaim struct {
	Person record.PersonID
	At     time.Time
	Seq    record.Seq
}

const emergencyColumns = `session, chain, station, opened_at, reason, missing, alarmed_at`

func scanEmergency(r scanner) (EmergencyEntry, error) {
	var e EmergencyEntry
	var opened, alarmed int64
	err := r.Scan(&e.ID, &e.Chain, &e.Station, &opened, &e.Reason, &e.Missing, &alarmed)
	e.OpenedAt, e.AlarmedAt = at(opened), at(alarmed)
	return e, err
}

// AddEmergency writes an emergency that has begun. One that is there stays as it is: the first record counts.
func (tx *Tx) AddEmergency(e EmergencyEntry) error {
	_, err := tx.exec(`INSERT INTO emergencies (`+emergencyColumns+`) VALUES (?, ?, ?, ?, ?, ?, 0) ON CONFLICT (session) DO NOTHING`,
		string(e.ID), string(e.Chain), string(e.Station), micro(e.OpenedAt), string(e.Reason), e.Missing)
	if err != nil {
		return fmt.Errorf("add emergency %s: %w", e.ID, err)
	}
	return nil
}

// Emergency reads one.
func (tx *Tx) Emergency(id record.SessionID) (EmergencyEntry, error) {
	found, err := all(tx, scanEmergency, `SELECT `+emergencyColumns+` FROM emergencies WHERE session = ?`, string(id))
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return EmergencyEntry{}, fmt.Errorf("emergency %s: %w", id, err)
	}
	return found[0], nil
}

// ClaimEmergency takes a person's answer for an emergency of a chain, and gives the emergency after it. The first person is also the one of the session. A
// person who has answered, one too many, and an emergency of another chain change nothing.
func (tx *Tx) ClaimEmergency(chain record.ChainID, id record.SessionID, c EmergencyClaim) (EmergencyEntry, error) {
	e, err := tx.Emergency(id)
	if errors.Is(err, ErrNotFound) || err == nil && (e.Chain != chain || e.Missing == 0) {
		return e, nil
	}
	if err != nil {
		return e, err
	}
	var had int
	err = tx.one(`SELECT COUNT(*) FROM emergency_claims WHERE session = ? AND person = ?`, []any{string(id), string(c.Person)}, &had)
	if err == nil && had == 0 {
		e.Missing--
		_, err = tx.exec(`INSERT INTO emergency_claims (session, person, at, seq) VALUES (?, ?, ?, ?)`, string(id), string(c.Person), micro(c.At), int64(c.Seq))
	}
	if err == nil && had == 0 {
		_, err = tx.exec(`UPDATE emergencies SET missing = ? WHERE session = ?`, e.Missing, string(id))
	}
	if err == nil {
		_, err = tx.exec(`UPDATE sessions SET person = ? WHERE session = ? AND chain = ? AND kind = 'emergency' AND person = ''`,
			string(c.Person), string(id), string(chain))
	}
	if err != nil {
		return e, fmt.Errorf("claim emergency %s: %w", id, err)
	}
	return e, nil
}

// EmergencyClaims are the answers for an emergency, in their order.
func (tx *Tx) EmergencyClaims(id record.SessionID) ([]EmergencyClaim, error) {
	found, err := all(tx, func(r scanner) (EmergencyClaim, error) {
		var c EmergencyClaim
		var when, seq int64
		err := r.Scan(&c.Person, &when, &seq)
		c.At, c.Seq = at(when), record.Seq(seq)
		return c, err
	}, `SELECT person, at, seq FROM emergency_claims WHERE session = ? ORDER BY seq`, string(id))
	if err != nil {
		return nil, fmt.Errorf("claims of emergency %s: %w", id, err)
	}
	return found, nil
}

// Unclaimed are the emergencies that opened before a time, lack somebody's answer and have raised no alarm, oldest first, limit at most.
func (tx *Tx) Unclaimed(before time.Time, limit int) ([]EmergencyEntry, error) {
	found, err := all(tx, scanEmergency, `SELECT `+emergencyColumns+` FROM emergencies WHERE missing > 0 AND opened_at < ? AND alarmed_at = 0 ORDER BY opened_at, session LIMIT ?`,
		micro(before), limit)
	if err != nil {
		return nil, fmt.Errorf("unclaimed emergencies: %w", err)
	}
	return found, nil
}

// UnclaimedAt counts those of a station that have raised an alarm.
func (tx *Tx) UnclaimedAt(station record.StationID) (int, error) {
	var n int
	err := tx.one(`SELECT COUNT(*) FROM emergencies WHERE station = ? AND missing > 0 AND alarmed_at > 0`, []any{string(station)}, &n)
	if err != nil {
		return 0, fmt.Errorf("unclaimed emergencies of %s: %w", station, err)
	}
	return n, nil
}

// MarkAlarmed remembers that an emergency has raised its alarm.
func (tx *Tx) MarkAlarmed(id record.SessionID, now time.Time) error {
	if _, err := tx.exec(`UPDATE emergencies SET alarmed_at = ? WHERE session = ?`, micro(now), string(id)); err != nil {
		return fmt.Errorf("mark emergency %s: %w", id, err)
	}
	return nil
}

// Emergencies lists emergencies, the newest first, limit at most; openOnly leaves out those that are over and answered for.
func (tx *Tx) Emergencies(openOnly bool, limit int) ([]EmergencyEntry, error) {
	open := 0
	if openOnly {
		open = 1
	}
	found, err := all(tx, scanEmergency, `SELECT `+emergencyColumns+` FROM emergencies WHERE ? = 0 OR missing > 0
		OR session IN (SELECT session FROM sessions WHERE kind = 'emergency' AND closed_at = 0) ORDER BY opened_at DESC, session DESC LIMIT ?`, open, limit)
	if err != nil {
		return nil, fmt.Errorf("list emergencies: %w", err)
	}
	return found, nil
}
