package store

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"tapline/proto/record"
)

// Lease is one shared account held by one session. Scope is what is counted: the account, or the station where it has none.
type Lease struct {
	ID        string
	Scope     string
	Account   record.AccountID
	Fence     record.Fence
	Session   record.SessionID
	Station   record.StationID
	Person    record.PersonID
	OpenedAt  time.Time
	ExpiresAt time.Time
	EndedAt   time.Time // zero while in force
	Cause     string
	// BadgeEndsAt is when the badge that opened the session ends by itself; zero for never.
	BadgeEndsAt time.Time
}

const leaseColumns = `id, scope, account, fence, session, station, person, opened_at, expires_at, ended_at, cause, badge_ends_at`

func scanLease(r scanner) (Lease, error) {
	var l Lease
	var fence, opened, expires, ended, badge int64
	err := r.Scan(&l.ID, &l.Scope, &l.Account, &fence, &l.Session, &l.Station, &l.Person, &opened, &expires, &ended, &l.Cause, &badge)
	l.Fence, l.OpenedAt, l.ExpiresAt, l.EndedAt, l.BadgeEndsAt = record.Fence(fence), at(opened), at(expires), at(ended), at(badge)
	return l, err
}

func (tx *Tx) leases(query string, args ...any) ([]Lease, error) {
	found, err := all(tx, scanLease, leasesOf+query, args...)
	if err != nil {
		return nil, fmt.Errorf("read leases: %w", err)
	}
	return found, nil
}

// inForce reads the leases in force that match. A decision asks the same for what it knows and again for what it takes; the second time is no way to
// the database.
func (tx *Tx) inForce(query, of string) ([]Lease, error) {
	key := query + "\x00" + of
	found, read := tx.near[key]
	if !read {
		var err error
		if found, err = tx.leases(query, of); err != nil {
			return nil, err
		}
		if tx.near == nil {
			tx.near = map[string][]Lease{}
		}
		tx.near[key] = found
	}
	return slices.Clone(found), nil
}

// LeaseOf reads the lease of a session, in force or not.
func (tx *Tx) LeaseOf(session record.SessionID) (Lease, error) {
	found, err := tx.leases(`WHERE session = ?`, string(session))
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("lease of session %s: %w", session, ErrNotFound)
	}
	if err != nil {
		return Lease{}, err
	}
	return found[0], nil
}

// LeaseByID reads one lease, in force or not.
func (tx *Tx) LeaseByID(id string) (Lease, error) {
	found, err := tx.leases(`WHERE id = ?`, id)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("lease %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return Lease{}, err
	}
	return found[0], nil
}

// LeasesOfScope reads the leases in force of a scope, oldest first. One that has expired and was not ended yet is among them.
//
// The order is made here: asked for it, SQLite goes through all leases that the scope ever had, because another index has them in that order.
func (tx *Tx) LeasesOfScope(scope string) ([]Lease, error) {
	found, err := tx.inForce(ofScope, scope)
	slices.SortFunc(found, func(a, b Lease) int { return cmp.Compare(a.Fence, b.Fence) })
	return found, err
}

// LeasesOfStation reads the leases in force at a station.
func (tx *Tx) LeasesOfStation(id record.StationID) ([]Lease, error) {
	return tx.inForce(ofStation, string(id))
}

// LeasesOfPerson reads the leases in force of a person.
func (tx *Tx) LeasesOfPerson(id record.PersonID) ([]Lease, error) {
	return tx.inForce(ofPerson, string(id))
}

// ExpiredLeases reads leases in force that should have ended by now.
func (tx *Tx) ExpiredLeases(now time.Time) ([]Lease, error) {
	return tx.leases(`WHERE ended_at = 0 AND expires_at <= ? ORDER BY expires_at LIMIT 1000`, micro(now))
}

// Leases lists leases in force by ID, of one account if that is not empty.
func (tx *Tx) Leases(account record.AccountID, p Page) ([]Lease, error) {
	return tx.leases(`WHERE ended_at = 0 AND id > ? AND (? = '' OR account = ?) ORDER BY id LIMIT ?`,
		p.After, string(account), string(account), p.Size)
}

const insertLease = `INSERT INTO leases (` + leaseColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, '', ?)`

func (l Lease) insert() []any {
	return []any{
		l.ID, l.Scope, string(l.Account), int64(l.Fence), string(l.Session), string(l.Station), string(l.Person), micro(l.OpenedAt), micro(l.ExpiresAt),
		micro(l.BadgeEndsAt),
	}
}

// AddLease writes a new lease.
func (tx *Tx) AddLease(l Lease) error {
	tx.near = nil
	if _, err := tx.exec(insertLease, l.insert()...); err != nil {
		return fmt.Errorf("add lease: %w", err)
	}
	return nil
}

// TakeLease writes a new lease under the next fencing number of its scope, and gives it with that.
func (tx *Tx) TakeLease(l Lease) (Lease, error) {
	var err error
	if tx.line == nil {
		if l.Fence, err = tx.NextFence(l.Scope); err != nil {
			return l, err
		}
		return l, tx.AddLease(l)
	}
	// Nobody else writes meanwhile: the number that was read ahead is the last one, and counting it up needs no answer.
	last, err := tx.LastFence(l.Scope)
	if err != nil {
		return l, err
	}
	l.Fence = last + 1
	tx.near = nil
	err = tx.later("fence of "+l.Scope, `INSERT INTO fences (scope, last) VALUES (?, ?) ON CONFLICT (scope) DO UPDATE SET last = excluded.last`,
		l.Scope, int64(l.Fence))
	if err != nil {
		return l, err
	}
	return l, tx.later("take lease", insertLease, l.insert()...)
}

// ExtendLease moves the end of a lease.
func (tx *Tx) ExtendLease(id string, until time.Time) error {
	tx.near = nil
	if _, err := tx.exec(`UPDATE leases SET expires_at = ? WHERE id = ? AND ended_at = 0`, micro(until), id); err != nil {
		return fmt.Errorf("extend lease %s: %w", id, err)
	}
	return nil
}

// EndLease ends a lease; one that has ended stays as it is.
func (tx *Tx) EndLease(id, cause string, now time.Time) error {
	tx.near = nil
	if tx.engine.name() == postgresName {
		return tx.later("end lease "+id, counting(ends)+`UPDATE leases SET ended_at = ?, cause = ?, ended_number = n.value FROM n
			WHERE id = ? AND ended_at = 0`, micro(now), cause, id)
	}
	number, err := tx.Next(ends, 1)
	if err == nil {
		_, err = tx.exec(`UPDATE leases SET ended_at = ?, cause = ?, ended_number = ? WHERE id = ? AND ended_at = 0`, micro(now), cause, int64(number), id)
	}
	if err != nil {
		return fmt.Errorf("end lease %s: %w", id, err)
	}
	return nil
}

// NextFence gives the next fencing number of a scope: 1, 2, 3 ... and none twice.
func (tx *Tx) NextFence(scope string) (record.Fence, error) {
	var last int64
	err := tx.one(`INSERT INTO fences (scope, last) VALUES (?, 1)
		ON CONFLICT (scope) DO UPDATE SET last = fences.last + 1 RETURNING last`, []any{scope}, &last)
	if err != nil {
		return 0, fmt.Errorf("fence of %s: %w", scope, err)
	}
	return record.Fence(last), nil
}

// LastFence gives the last fencing number of a scope; 0 before the first.
func (tx *Tx) LastFence(scope string) (record.Fence, error) {
	var last int64
	err := tx.one(fenceOf, []any{scope}, &last)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return 0, fmt.Errorf("fence of %s: %w", scope, err)
	}
	return record.Fence(last), nil
}
