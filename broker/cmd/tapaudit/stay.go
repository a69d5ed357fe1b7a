package main

import (
	"errors"
	"time"

	"tapline/proto/record"
	"tapline/proto/record/evidence"
)

// stay is a stretch of time at a station that the records attribute: to a person, to an emergency, or to nobody.
type stay struct {
	Station record.StationID `json:"station"`
	Kind    string           `json:"kind"` // "session", "emergency" or "unattributed"
	Person  record.PersonID  `json:"person,omitempty"`
	Session record.SessionID `json:"session,omitempty"`
	From    time.Time        `json:"from,omitzero"`  // zero: before the first record
	Until   time.Time        `json:"until,omitzero"` // zero: not ended in the records
	Mode    record.Mode      `json:"mode,omitempty"`
	By      string           `json:"decided_by,omitempty"`
	Ended   string           `json:"ended_by,omitempty"` // reason, or "handed over to PERSON"
	First   record.Seq       `json:"first"`              // the record that opened it
	Last    record.Seq       `json:"last,omitempty"`     // the record that ended it
}

func (s stay) who() string {
	if s.Kind != "session" {
		return "(" + s.Kind + ")"
	}
	return string(s.Person)
}

func (s stay) length() string {
	if s.Until.IsZero() || s.From.IsZero() {
		return "-"
	}
	return s.Until.Sub(s.From).Round(time.Second).String()
}

// staysOf reads a chain, the stays in the order in which they began. With lenient, it leaves out what it cannot read.
func staysOf(chain evidence.Chain, lenient bool) ([]stay, error) {
	var list ledgerOfStays
	err := payloadsOf(chain, lenient, list.add)
	return list.stays, err
}

// payloadsOf reads a chain. With lenient, it leaves out what it cannot read.
func payloadsOf(chain evidence.Chain, lenient bool, each func(record.Payload)) error {
	for raw, err := range chain.Records() {
		var e record.Entry
		if err == nil {
			e, err = record.ReadEntry(raw)
		}
		var kind record.FaultKind
		switch {
		case err == nil:
			each(e.Payload)
		case lenient && (errors.As(err, &kind) || errors.Is(err, evidence.ErrTorn)):
		default:
			return hint(err, "tapaudit verify names the record that is bad")
		}
	}
	return nil
}

type ledgerOfStays struct{ stays []stay }

func (l *ledgerOfStays) add(p record.Payload) {
	switch p.Type {
	case record.SessionOpened:
		l.open("session", p)
	case record.SessionHandedOver:
		l.end(p, func(s stay) bool { return s.Session == p.From.Session }, "handed over to "+string(p.Person))
		l.open("session", p)
	case record.EmergencyOpened:
		l.open("emergency", p)
	case record.SessionClosed:
		l.end(p, func(s stay) bool { return s.Session == p.Session }, string(p.Reason))
	case record.UnattributedBegan:
		l.open("unattributed", p)
	case record.UnattributedEnded:
		l.end(p, func(s stay) bool { return s.Kind == "unattributed" }, string(p.Reason))
	}
}

func (l *ledgerOfStays) open(kind string, p record.Payload) {
	s := stay{Station: p.Station, Kind: kind, Person: p.Person, Session: p.Session, From: p.Time.Wall, Mode: p.Mode, First: p.Seq}
	if p.Decision != nil {
		s.By = p.Decision.By
	}
	l.stays = append(l.stays, s)
}

// end ends the latest open stay that fits, if its beginning is among the records.
func (l *ledgerOfStays) end(p record.Payload, fits func(stay) bool, why string) {
	for i := len(l.stays) - 1; i >= 0; i-- {
		if s := &l.stays[i]; s.Last == 0 && fits(*s) {
			s.Until, s.Ended, s.Last = p.Time.Wall, why, p.Seq
			return
		}
	}
}
