package store

import (
	"errors"
	"fmt"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/proto/record"
)

// Standing is what administrators decided about a station's identity, and what the station said it trusts.
type Standing struct {
	// Released is the join sequence number of the copy that an administrator picked, until it has come for its next certificate; 0 for none.
	Released uint64
	// AbandonedFrom and AbandonedTo bound the join sequence numbers that were given up with the other copy: the first is not one of them, the second is.
	AbandonedFrom, AbandonedTo uint64
	// ApprovedUntil lets the station recover however long it was away; zero for no approval.
	ApprovedUntil time.Time
	ApprovedBy    string
	QuarantinedAt time.Time // zero if never
	// Trust is the version of the trust statement that the station has.
	Trust uint64
}

const standingColumns = `released, abandoned_from, abandoned_to, approved_until, approved_by, quarantined_at, trust`

// Standing reads where a station stands; a station that nothing was decided about has the zero Standing.
func (tx *Tx) Standing(id record.StationID) (Standing, error) {
	var s Standing
	var released, from, to, approved, quarantined, trust int64
	err := tx.one(`SELECT `+standingColumns+` FROM station_standing WHERE station = ?`, []any{string(id)},
		&released, &from, &to, &approved, &s.ApprovedBy, &quarantined, &trust)
	if errors.Is(err, ErrNotFound) {
		return Standing{}, nil
	}
	if err != nil {
		return Standing{}, fmt.Errorf("standing of %s: %w", id, err)
	}
	s.Released, s.AbandonedFrom, s.AbandonedTo, s.Trust = uint64(released), uint64(from), uint64(to), uint64(trust)
	s.ApprovedUntil, s.QuarantinedAt = at(approved), at(quarantined)
	return s, nil
}

// PutStanding writes where a station stands.
func (tx *Tx) PutStanding(id record.StationID, s Standing) error {
	_, err := tx.exec(`INSERT INTO station_standing (station, `+standingColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (station) DO UPDATE SET released = excluded.released, abandoned_from = excluded.abandoned_from,
		abandoned_to = excluded.abandoned_to, approved_until = excluded.approved_until, approved_by = excluded.approved_by,
		quarantined_at = excluded.quarantined_at, trust = excluded.trust`,
		string(id), int64(s.Released), int64(s.AbandonedFrom), int64(s.AbandonedTo), micro(s.ApprovedUntil), s.ApprovedBy,
		micro(s.QuarantinedAt), int64(s.Trust))
	if err != nil {
		return fmt.Errorf("standing of %s: %w", id, err)
	}
	return nil
}

// Copy is whoever asked in a station's name when it was not its turn.
type Copy struct {
	Request []byte // digest of what it asks, by which it is known again
	Join    uint64 // join sequence number that it has
	Serial  string // of the certificate that it showed; may be empty
	First   time.Time
	Last    time.Time
	GivenUp bool // an administrator picked another one
}

const copyColumns = `request, join_sequence, serial, first_seen_at, last_seen_at, given_up`

func scanCopy(r scanner) (Copy, error) {
	var c Copy
	var join, first, last int64
	var gone int32
	err := r.Scan(&c.Request, &join, &c.Serial, &first, &last, &gone)
	c.Join, c.First, c.Last, c.GivenUp = uint64(join), at(first), at(last), gone != 0
	return c, err
}

// copiesKept is how many copies of a station are known, the newest: one that makes up a new request for each try shall not fill the store.
const copiesKept = 100

// SeeCopy notes that a copy asked. It stays given up if it was.
func (tx *Tx) SeeCopy(id record.StationID, c Copy) error {
	_, err := tx.exec(`INSERT INTO station_copies (station, request, join_sequence, serial, first_seen_at, last_seen_at) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (station, request) DO UPDATE SET last_seen_at = excluded.last_seen_at`,
		string(id), c.Request, int64(c.Join), c.Serial, micro(c.Last), micro(c.Last))
	if err == nil {
		_, err = tx.exec(`DELETE FROM station_copies WHERE station = ? AND request IN (SELECT request FROM station_copies WHERE station = ?
			ORDER BY last_seen_at DESC, request LIMIT 1000 OFFSET ?)`, string(id), string(id), copiesKept)
	}
	if err != nil {
		return fmt.Errorf("copy of %s: %w", id, err)
	}
	return nil
}

// Copies lists the copies of a station, newest first, at most limit.
func (tx *Tx) Copies(id record.StationID, limit int) ([]Copy, error) {
	found, err := all(tx, scanCopy, `SELECT `+copyColumns+` FROM station_copies
		WHERE station = ? ORDER BY last_seen_at DESC, request LIMIT ?`, string(id), limit)
	if err != nil {
		return nil, fmt.Errorf("copies of %s: %w", id, err)
	}
	return found, nil
}

// CopyOf finds a copy by what it asks; ErrNotFound if it never asked.
func (tx *Tx) CopyOf(id record.StationID, request []byte) (Copy, error) {
	found, err := all(tx, scanCopy, `SELECT `+copyColumns+` FROM station_copies WHERE station = ? AND request = ?`, string(id), request)
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Copy{}, fmt.Errorf("copy of %s: %w", id, err)
	}
	return found[0], nil
}

// GiveUpOthers marks every copy of a station as given up but the one that asks with request.
func (tx *Tx) GiveUpOthers(id record.StationID, request []byte) error {
	if _, err := tx.exec(`UPDATE station_copies SET given_up = 1 WHERE station = ? AND request <> ?`, string(id), request); err != nil {
		return fmt.Errorf("give up copies of %s: %w", id, err)
	}
	return nil
}

// GiveUpCopies marks every copy of a station as given up but those that have the join sequence number spare.
func (tx *Tx) GiveUpCopies(id record.StationID, spare uint64) error {
	_, err := tx.exec(`UPDATE station_copies SET given_up = CASE WHEN join_sequence = ? THEN 0 ELSE 1 END WHERE station = ?`, int64(spare), string(id))
	if err != nil {
		return fmt.Errorf("give up copies of %s: %w", id, err)
	}
	return nil
}

// ForgetStanding forgets what was decided about a station's identity and which copies of it were seen: it begins anew.
func (tx *Tx) ForgetStanding(id record.StationID) error {
	for _, query := range []string{`DELETE FROM station_copies WHERE station = ?`, `DELETE FROM station_standing WHERE station = ?`} {
		if _, err := tx.exec(query, string(id)); err != nil {
			return fmt.Errorf("forget standing of %s: %w", id, err)
		}
	}
	return nil
}

// SpendNonce takes a nonce out of the game, for all brokers on the store; ErrExists if it was spent before. Those that are too old to count
// are forgotten on the way.
func (tx *Tx) SpendNonce(nonce []byte, until, now time.Time) error {
	if _, err := tx.exec(`DELETE FROM spent_nonces WHERE until < ?`, micro(now)); err != nil {
		return fmt.Errorf("forget nonces: %w", err)
	}
	n, err := tx.exec(`INSERT INTO spent_nonces (nonce, until) VALUES (?, ?) ON CONFLICT (nonce) DO NOTHING`, nonce, micro(until))
	if err == nil && n == 0 {
		err = ErrExists
	}
	if err != nil {
		return fmt.Errorf("spend nonce: %w", err)
	}
	return nil
}

// UnawareOfTrust lists, by ID, stations that are enrolled or quarantined and have not said that they have the trust statement of a version; at most
// limit.
func (tx *Tx) UnawareOfTrust(version uint64, limit int) ([]record.StationID, error) {
	found, err := all(tx, func(r scanner) (id record.StationID, err error) { return id, r.Scan(&id) },
		`SELECT s.id FROM stations s LEFT JOIN station_standing t ON t.station = s.id
		WHERE s.state IN (?, ?) AND COALESCE(t.trust, 0) < ? ORDER BY s.id LIMIT ?`,
		int32(taplinev1.StationState_STATION_STATE_ENROLLED), int32(taplinev1.StationState_STATION_STATE_QUARANTINED), int64(version), limit)
	if err != nil {
		return nil, fmt.Errorf("stations that do not have the trust: %w", err)
	}
	return found, nil
}
