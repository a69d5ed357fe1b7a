package store

import (
	"fmt"
	"strings"
	"time"

	"tapline/proto/record"
)

// Alarm is something somebody must look at. Of one kind and station there is at most one that is open; if it comes again, it is counted.
type Alarm struct {
	ID       string
	Kind     string // a short stable word
	Station  record.StationID
	At       time.Time // the first time
	What     string
	Hint     string
	Times    uint64
	ClosedAt time.Time // zero while open
	ClosedBy string
	Note     string
}

const alarmColumns = `id, kind, station, at, what, hint, times, closed_at, closed_by, note`

func scanAlarm(r scanner) (Alarm, error) {
	var a Alarm
	var when, times, closed int64
	err := r.Scan(&a.ID, &a.Kind, &a.Station, &when, &a.What, &a.Hint, &times, &closed, &a.ClosedBy, &a.Note)
	a.At, a.Times, a.ClosedAt = at(when), uint64(times), at(closed)
	return a, err
}

// Raise raises an alarm, or counts the open one of that kind and station up.
func (tx *Tx) Raise(a Alarm) error {
	_, err := tx.exec(`INSERT INTO alarms (id, kind, station, at, what, hint) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (kind, station) WHERE closed_at = 0 DO UPDATE SET times = alarms.times + 1`,
		a.ID, a.Kind, string(a.Station), micro(a.At), anyText(a.What), a.Hint)
	if err != nil {
		return fmt.Errorf("raise alarm %s: %w", a.Kind, err)
	}
	return nil
}

// anyText is a text that every engine keeps, whoever it was quoted from: an alarm that cannot be written would undo what found the trouble.
func anyText(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// Alarms lists alarms, newest first, that come after the alarm with the ID p.After.
func (tx *Tx) Alarms(openOnly bool, p Page) ([]Alarm, error) {
	open := 0
	if openOnly {
		open = 1
	}
	found, err := all(tx, scanAlarm, `SELECT `+alarmColumns+` FROM alarms WHERE (? = 0 OR closed_at = 0) AND (? = '' OR id < ?)
		ORDER BY id DESC LIMIT ?`, open, p.After, p.After, p.Size)
	if err != nil {
		return nil, fmt.Errorf("list alarms: %w", err)
	}
	return found, nil
}

// OpenAlarms counts the alarms that nobody has closed.
func (tx *Tx) OpenAlarms() (int, error) {
	var n int
	if err := tx.one(`SELECT COUNT(*) FROM alarms WHERE closed_at = 0`, nil, &n); err != nil {
		return 0, fmt.Errorf("count alarms: %w", err)
	}
	return n, nil
}

// CloseAlarm closes an alarm and gives it back. One that was closed stays as it is.
func (tx *Tx) CloseAlarm(id, by, note string, now time.Time) (Alarm, error) {
	_, err := tx.exec(`UPDATE alarms SET closed_at = ?, closed_by = ?, note = ? WHERE id = ? AND closed_at = 0`, micro(now), by, note, id)
	if err != nil {
		return Alarm{}, fmt.Errorf("close alarm %s: %w", id, err)
	}
	found, err := all(tx, scanAlarm, `SELECT `+alarmColumns+` FROM alarms WHERE id = ?`, id)
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Alarm{}, fmt.Errorf("alarm %s: %w", id, err)
	}
	return found[0], nil
}
