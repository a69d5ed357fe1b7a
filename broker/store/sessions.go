package store

import (
	"fmt"
	"time"

	"tapline/proto/record"
)

// SessionKind tells a person's session from the times when nobody was named.
type SessionKind string

// The kinds of session.
const (
	Named        SessionKind = "named"
	Emergency    SessionKind = "emergency"
	Unattributed SessionKind = "unattributed"
)

// Session is one session as the records tell it. The errors are how far a time may be off.
type Session struct {
	ID          record.SessionID // made up for unattributed use, which has none
	Kind        SessionKind
	Station     record.StationID
	Chain       record.ChainID
	Person      record.PersonID
	Account     record.AccountID
	OpenedAt    time.Time
	OpenedError time.Duration
	ClosedAt    time.Time // zero while it goes on
	ClosedError time.Duration
	Reason      record.Reason
	DecidedBy   string
	Mode        record.Mode
	Assurance   uint8
	OpenedSeq   record.Seq
	ClosedSeq   record.Seq // 0 while it goes on
}

const sessionColumns = `session, kind, station, chain, person, account, opened_at, opened_error, closed_at, closed_error, reason, decided_by,
	mode, assurance, opened_seq, closed_seq`

func scanSession(r scanner) (Session, error) {
	var s Session
	var opened, openedError, closed, closedError, openedSeq, closedSeq int64
	err := r.Scan(&s.ID, &s.Kind, &s.Station, &s.Chain, &s.Person, &s.Account, &opened, &openedError, &closed, &closedError, &s.Reason,
		&s.DecidedBy, &s.Mode, &s.Assurance, &openedSeq, &closedSeq)
	s.OpenedAt, s.ClosedAt = at(opened), at(closed)
	s.OpenedError, s.ClosedError = time.Duration(openedError)*time.Microsecond, time.Duration(closedError)*time.Microsecond
	s.OpenedSeq, s.ClosedSeq = record.Seq(openedSeq), record.Seq(closedSeq)
	return s, err
}

// AddSession writes a session that has begun. One that is there stays as it is: the first record counts.
func (tx *Tx) AddSession(s Session) error {
	_, err := tx.exec(`INSERT INTO sessions (`+sessionColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0, '', ?, ?, ?, ?, 0)
		ON CONFLICT (session) DO NOTHING`,
		string(s.ID), string(s.Kind), string(s.Station), string(s.Chain), string(s.Person), string(s.Account), micro(s.OpenedAt),
		s.OpenedError.Microseconds(), s.DecidedBy, string(s.Mode), int(s.Assurance), int64(s.OpenedSeq))
	if err != nil {
		return fmt.Errorf("add session %s: %w", s.ID, err)
	}
	return nil
}

// End is how a session ended.
type End struct {
	At       time.Time // by the station
	Error    time.Duration
	Reason   record.Reason
	Seq      record.Seq
	Received time.Time // when the broker learnt of it, by its own clock
}

// CloseSession ends a session of a chain, if it goes on.
func (tx *Tx) CloseSession(chain record.ChainID, id record.SessionID, e End) error {
	_, err := tx.exec(`UPDATE sessions SET closed_at = ?, closed_error = ?, reason = ?, closed_seq = ?, end_received_at = ?
		WHERE session = ? AND chain = ? AND closed_at = 0`,
		micro(e.At), e.Error.Microseconds(), string(e.Reason), int64(e.Seq), micro(e.Received), string(id), string(chain))
	if err != nil {
		return fmt.Errorf("close session %s: %w", id, err)
	}
	return nil
}

// CloseKind ends every session of a kind that goes on in a chain.
func (tx *Tx) CloseKind(chain record.ChainID, kind SessionKind, e End) error {
	_, err := tx.exec(`UPDATE sessions SET closed_at = ?, closed_error = ?, reason = ?, closed_seq = ?, end_received_at = ?
		WHERE chain = ? AND kind = ? AND closed_at = 0`,
		micro(e.At), e.Error.Microseconds(), string(e.Reason), int64(e.Seq), micro(e.Received), string(chain), string(kind))
	if err != nil {
		return fmt.Errorf("close sessions of chain %s: %w", chain, err)
	}
	return nil
}

// Session reads one session.
func (tx *Tx) Session(id record.SessionID) (Session, error) {
	found, err := all(tx, scanSession, `SELECT `+sessionColumns+` FROM sessions WHERE session = ?`, string(id))
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Session{}, fmt.Errorf("session %s: %w", id, err)
	}
	return found[0], nil
}

// Sessions lists sessions that overlap the filter's time, newest first, limit at most. Types is ignored.
func (tx *Tx) Sessions(f Filter, limit int) ([]Session, error) {
	from, until := f.From, f.Until
	f.From, f.Until = time.Time{}, time.Time{}
	where, args := f.where("opened_at", "")
	if !from.IsZero() {
		where, args = where+" AND (closed_at = 0 OR closed_at >= ?)", append(args, micro(from))
	}
	if !until.IsZero() {
		where, args = where+" AND opened_at < ?", append(args, micro(until))
	}
	found, err := all(tx, scanSession, `SELECT `+sessionColumns+` FROM sessions WHERE `+where+` ORDER BY opened_at DESC, opened_seq DESC LIMIT ?`,
		append(args, limit)...)
	if err != nil {
		return nil, fmt.Errorf("read sessions: %w", err)
	}
	return found, nil
}

// Around gives a station's sessions that may have gone on at a time, each stretched by the errors of its ends and by slack, oldest first.
func (tx *Tx) Around(station record.StationID, when time.Time, slack time.Duration) ([]Session, error) {
	found, err := all(tx, scanSession, `SELECT `+sessionColumns+` FROM sessions WHERE station = ?
		AND opened_at - opened_error <= ? AND (closed_at = 0 OR closed_at + closed_error >= ?) ORDER BY opened_at, opened_seq LIMIT 100`,
		string(station), micro(when.Add(slack)), micro(when.Add(-slack)))
	if err != nil {
		return nil, fmt.Errorf("read sessions of %s: %w", station, err)
	}
	return found, nil
}
