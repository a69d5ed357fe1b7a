package store

import (
	"errors"
	"fmt"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/proto/record"
)

// States of a request for a badge. One that is open and past its end has expired.
const (
	RequestOpen     = "open"
	RequestApproved = "approved"
	RequestRefused  = "refused"
)

// BadgeRequest is somebody's wish to have an unknown badge.
type BadgeRequest struct {
	ID         string
	Station    record.StationID
	Person     record.PersonID
	ShownBy    string
	Technology string
	Assurance  taplinev1.Assurance
	Lookup     []byte // as in Badge
	Number     []byte // sealed
	MadeAt     time.Time
	ExpiresAt  time.Time
	State      string
	DecidedBy  string
	DecidedAt  time.Time
	Note       string
	Badge      string
}

const requestColumns = `id, station, person, shown_by, technology, assurance, lookup, number, made_at, expires_at, state, decided_by, decided_at, note, badge`

func scanRequest(r scanner) (BadgeRequest, error) {
	var b BadgeRequest
	var assurance int
	var made, expires, decided int64
	err := r.Scan(&b.ID, &b.Station, &b.Person, &b.ShownBy, &b.Technology, &assurance, &b.Lookup, &b.Number, &made, &expires, &b.State,
		&b.DecidedBy, &decided, &b.Note, &b.Badge)
	b.Assurance, b.MadeAt, b.ExpiresAt, b.DecidedAt = taplinev1.Assurance(assurance), at(made), at(expires), at(decided)
	return b, err
}

// AddBadgeRequest writes a new request.
func (tx *Tx) AddBadgeRequest(b BadgeRequest) error {
	_, err := tx.exec(`INSERT INTO badge_requests (`+requestColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		b.ID, string(b.Station), string(b.Person), b.ShownBy, b.Technology, int(b.Assurance), b.Lookup, b.Number, micro(b.MadeAt), micro(b.ExpiresAt),
		b.State, b.DecidedBy, micro(b.DecidedAt), b.Note, b.Badge)
	if err != nil {
		return fmt.Errorf("add badge request: %w", err)
	}
	return nil
}

// BadgeRequest reads one request.
func (tx *Tx) BadgeRequest(id string) (BadgeRequest, error) {
	found, err := all(tx, scanRequest, `SELECT `+requestColumns+` FROM badge_requests WHERE id = ?`, id)
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return BadgeRequest{}, fmt.Errorf("badge request %s: %w", id, err)
	}
	return found[0], nil
}

// BadgeRequestsAt reads the requests that were made at a station after a time, whatever became of them.
func (tx *Tx) BadgeRequestsAt(station record.StationID, after time.Time) ([]BadgeRequest, error) {
	found, err := all(tx, scanRequest, `SELECT `+requestColumns+` FROM badge_requests WHERE station = ? AND made_at > ? ORDER BY made_at DESC`,
		string(station), micro(after))
	if err != nil {
		return nil, fmt.Errorf("badge requests at %s: %w", station, err)
	}
	return found, nil
}

// BadgeRequests lists requests, newest first: IDs are UUIDv7 and so in the order of time. A time for openAt leaves those that are open then.
func (tx *Tx) BadgeRequests(openAt time.Time, p Page) ([]BadgeRequest, error) {
	query, args := `SELECT `+requestColumns+` FROM badge_requests WHERE (? = '' OR id < ?)`, []any{p.After, p.After}
	if !openAt.IsZero() {
		query, args = query+` AND state = ? AND expires_at > ?`, append(args, RequestOpen, micro(openAt))
	}
	found, err := all(tx, scanRequest, query+` ORDER BY id DESC LIMIT ?`, append(args, p.Size)...)
	if err != nil {
		return nil, fmt.Errorf("list badge requests: %w", err)
	}
	return found, nil
}

// DecideBadgeRequest writes what became of an open request. ErrExists if it was decided before.
func (tx *Tx) DecideBadgeRequest(b BadgeRequest) error {
	n, err := tx.exec(`UPDATE badge_requests SET state = ?, decided_by = ?, decided_at = ?, note = ?, badge = ? WHERE id = ? AND state = ?`,
		b.State, b.DecidedBy, micro(b.DecidedAt), b.Note, b.Badge, b.ID, RequestOpen)
	if err == nil && n == 0 {
		err = ErrExists
	}
	if err != nil {
		return fmt.Errorf("decide badge request %s: %w", b.ID, err)
	}
	return nil
}

// PurgeBadgeRequests forgets requests from before a time, and with them the numbers of badges that nobody was given.
func (tx *Tx) PurgeBadgeRequests(before time.Time) error {
	if _, err := tx.exec(`DELETE FROM badge_requests WHERE made_at < ?`, micro(before)); err != nil {
		return fmt.Errorf("purge badge requests: %w", err)
	}
	return nil
}

// RefusalsAfter reads refused taps from after a time, at one station if that is not empty, newest first.
func (tx *Tx) RefusalsAfter(station record.StationID, after time.Time, limit int) ([]Refusal, error) {
	codes, err := all(tx, func(r scanner) (string, error) {
		var code string
		err := r.Scan(&code)
		return code, err
	}, `SELECT code FROM refusals WHERE at > ? AND (? = '' OR station = ?) ORDER BY at DESC LIMIT ?`, micro(after), string(station), string(station), limit)
	if err != nil {
		return nil, fmt.Errorf("list refused taps: %w", err)
	}
	found := make([]Refusal, 0, len(codes))
	for _, code := range codes {
		r, err := tx.Refusal(code)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found = append(found, r)
	}
	return found, nil
}
