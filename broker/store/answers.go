package store

import (
	"fmt"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/proto/record"
)

// Answer is what was answered to an OpenSession.
type Answer struct {
	Session record.SessionID
	Station record.StationID
	Request []byte // keyed digest of the request
	Reply   []byte // the response, encoded
	At      time.Time
}

// Answer reads the answer for a session.
func (tx *Tx) Answer(session record.SessionID) (Answer, error) {
	a := Answer{Session: session}
	var when int64
	err := tx.one(answerOf, []any{string(session)},
		&a.Station, &a.Request, &a.Reply, &when)
	if err != nil {
		return a, fmt.Errorf("answer for session %s: %w", session, err)
	}
	a.At = at(when)
	return a, nil
}

// AddAnswer writes a new answer.
func (tx *Tx) AddAnswer(a Answer) error {
	return tx.later("add answer for session "+string(a.Session), `INSERT INTO answers (session, station, request, reply, at) VALUES (?, ?, ?, ?, ?)`,
		string(a.Session), string(a.Station), a.Request, a.Reply, micro(a.At))
}

// Refusal is a tap that was refused, kept for the help desk.
type Refusal struct {
	Code       string
	Station    record.StationID
	At         time.Time
	Person     record.PersonID // empty for an unknown badge
	Technology string
	Assurance  taplinev1.Assurance
	Decision   *taplinev1.Decision
	Lookup     []byte // as in Badge
	Number     []byte // sealed
}

// AddRefusal writes a refused tap. ErrExists if its code is taken.
func (tx *Tx) AddRefusal(r Refusal) error {
	doc, err := document(r.Decision)
	if err != nil {
		return fmt.Errorf("add refusal: %w", err)
	}
	n, err := tx.exec(`INSERT INTO refusals (code, station, at, person, technology, assurance, decision, lookup, number)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (code) DO NOTHING`,
		r.Code, string(r.Station), micro(r.At), string(r.Person), r.Technology, int(r.Assurance), doc, r.Lookup, r.Number)
	if err == nil && n == 0 {
		err = ErrExists
	}
	if err != nil {
		return fmt.Errorf("add refusal: %w", err)
	}
	return nil
}

// Refusal reads the refused tap of a help code.
func (tx *Tx) Refusal(code string) (Refusal, error) {
	r := Refusal{Code: code, Decision: &taplinev1.Decision{}}
	var doc string
	var when int64
	var assurance int
	err := tx.one(`SELECT station, at, person, technology, assurance, decision, lookup, number FROM refusals WHERE code = ?`, []any{code},
		&r.Station, &when, &r.Person, &r.Technology, &assurance, &doc, &r.Lookup, &r.Number)
	if err == nil {
		err = readDocument(doc, r.Decision)
	}
	if err != nil {
		return r, fmt.Errorf("help code %s: %w", code, err)
	}
	r.At, r.Assurance = at(when), taplinev1.Assurance(assurance)
	return r, nil
}

// PurgeTaps forgets answers, refused taps and what was known of decided ones from before a time.
func (tx *Tx) PurgeTaps(before time.Time) error {
	_, err := tx.exec(`DELETE FROM answers WHERE at < ?`, micro(before))
	if err == nil {
		_, err = tx.exec(`DELETE FROM refusals WHERE at < ?`, micro(before))
	}
	if err == nil {
		_, err = tx.exec(`DELETE FROM taps WHERE at < ?`, micro(before))
	}
	if err != nil {
		return fmt.Errorf("purge taps: %w", err)
	}
	return nil
}
