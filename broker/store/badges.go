package store

import (
	"fmt"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/proto/record"
)

// Badge is a badge of a person. Lookup is a keyed hash of its number, Number the number itself, sealed.
type Badge struct {
	ID         string
	Person     record.PersonID
	Lookup     []byte
	Number     []byte
	Label      string
	Technology string
	Assurance  taplinev1.Assurance
	Revoked    bool
	Reason     string
	NotAfter   time.Time // zero for never
	AssignedAt time.Time
	LastUsedAt time.Time // zero if never
}

const badgeColumns = `id, person, lookup, number, label, technology, assurance, revoked, reason, not_after, assigned_at, last_used_at`

func scanBadge(r scanner) (Badge, error) {
	var b Badge
	var revoked, assurance int
	var notAfter, assigned, used int64
	err := r.Scan(&b.ID, &b.Person, &b.Lookup, &b.Number, &b.Label, &b.Technology, &assurance, &revoked, &b.Reason,
		&notAfter, &assigned, &used)
	b.Assurance, b.Revoked = taplinev1.Assurance(assurance), revoked != 0
	b.NotAfter, b.AssignedAt, b.LastUsedAt = at(notAfter), at(assigned), at(used)
	return b, err
}

// firstBadge is the one row of a query of badges.
func (tx *Tx) firstBadge(query string, args ...any) (Badge, error) {
	found, err := all(tx, scanBadge, `SELECT `+badgeColumns+` FROM badges `+query, args...)
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Badge{}, fmt.Errorf("badge: %w", err)
	}
	return found[0], nil
}

// BadgeByLookup finds the badge with a number: the one in force, else the one that was revoked last.
func (tx *Tx) BadgeByLookup(lookup []byte) (Badge, error) {
	return tx.firstBadge(`WHERE lookup = ? ORDER BY revoked, assigned_at DESC LIMIT 1`, lookup)
}

// Badge reads one badge.
func (tx *Tx) Badge(id string) (Badge, error) { return tx.firstBadge(`WHERE id = ?`, id) }

// AddBadge writes a new badge. ErrExists if one with its number is in force.
func (tx *Tx) AddBadge(b Badge) error {
	n, err := tx.exec(`INSERT INTO badges (`+badgeColumns+`) SELECT ?, ?, ?, ?, ?, ?, ?, 0, '', ?, ?, 0
		WHERE NOT EXISTS (SELECT 1 FROM badges WHERE lookup = ? AND revoked = 0)`,
		b.ID, string(b.Person), b.Lookup, b.Number, b.Label, b.Technology, int(b.Assurance), micro(b.NotAfter), micro(b.AssignedAt),
		b.Lookup)
	if err == nil && n == 0 {
		err = ErrExists
	}
	if err != nil {
		return fmt.Errorf("add badge: %w", err)
	}
	return nil
}

// RevokeBadge makes a badge worthless for good.
func (tx *Tx) RevokeBadge(id, reason string) error {
	n, err := tx.exec(`UPDATE badges SET revoked = 1, reason = ? WHERE id = ?`, reason, id)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("revoke badge %s: %w", id, err)
	}
	return nil
}

// UseBadge notes when a badge was used.
func (tx *Tx) UseBadge(id string, now time.Time) error {
	if _, err := tx.exec(`UPDATE badges SET last_used_at = ? WHERE id = ?`, micro(now), id); err != nil {
		return fmt.Errorf("use badge %s: %w", id, err)
	}
	return nil
}

// Badges lists badges by ID, of one person if that is not empty.
func (tx *Tx) Badges(person record.PersonID, p Page) ([]Badge, error) {
	found, err := all(tx, scanBadge, `SELECT `+badgeColumns+` FROM badges WHERE id > ? AND (? = '' OR person = ?) ORDER BY id LIMIT ?`,
		p.After, string(person), string(person), p.Size)
	if err != nil {
		return nil, fmt.Errorf("list badges: %w", err)
	}
	return found, nil
}

// EveryBadge gives the badges that a bundle has to know: for each number the one in force, else the one revoked last.
func (tx *Tx) EveryBadge() ([]Badge, error) {
	found, err := all(tx, scanBadge, `SELECT `+badgeColumns+` FROM badges ORDER BY revoked, assigned_at DESC`)
	if err != nil {
		return nil, fmt.Errorf("read badges: %w", err)
	}
	seen := make(map[string]bool, len(found))
	kept := found[:0]
	for _, b := range found {
		if !seen[string(b.Lookup)] {
			seen[string(b.Lookup)] = true
			kept = append(kept, b)
		}
	}
	return kept, nil
}

// DeleteBadges removes every badge of a person.
func (tx *Tx) DeleteBadges(person record.PersonID) error {
	if _, err := tx.exec(`DELETE FROM badges WHERE person = ?`, string(person)); err != nil {
		return fmt.Errorf("delete badges of %s: %w", person, err)
	}
	return nil
}
