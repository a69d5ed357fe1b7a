package store

import (
	"cmp"
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
	Source     string    // "local", or the source of the directory that it comes from
	LostAt     time.Time // zero if it is not lost
	Temporary  bool      // lent, and comes back
	Replaces   string    // badge whose place it takes at its first use; empty for none
}

// Ended reports whether the badge is worthless by its time.
func (b Badge) Ended(now time.Time) bool { return !b.NotAfter.IsZero() && !now.Before(b.NotAfter) }

// Good reports whether the badge is worth something: neither revoked nor lost nor past its end.
func (b Badge) Good(now time.Time) bool { return !b.Revoked && b.LostAt.IsZero() && !b.Ended(now) }

const badgeColumns = `id, person, lookup, number, label, technology, assurance, revoked, reason, not_after, assigned_at, last_used_at,
	source, lost_at, temporary, replaces`

func scanBadge(r scanner) (Badge, error) {
	var b Badge
	var revoked, assurance, temporary int
	var notAfter, assigned, used, lost int64
	err := r.Scan(&b.ID, &b.Person, &b.Lookup, &b.Number, &b.Label, &b.Technology, &assurance, &revoked, &b.Reason,
		&notAfter, &assigned, &used, &b.Source, &lost, &temporary, &b.Replaces)
	b.Assurance, b.Revoked, b.Temporary = taplinev1.Assurance(assurance), revoked != 0, temporary != 0
	b.NotAfter, b.AssignedAt, b.LastUsedAt, b.LostAt = at(notAfter), at(assigned), at(used), at(lost)
	return b, err
}

// firstBadge is the one row of a query of badges.
func (tx *Tx) firstBadge(query string, args ...any) (Badge, error) {
	found, err := all(tx, scanBadge, query, args...)
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
	return tx.firstBadge(badgeByLookup, lookup)
}

// Badge reads one badge.
func (tx *Tx) Badge(id string) (Badge, error) {
	return tx.firstBadge(`SELECT `+badgeColumns+` FROM badges WHERE id = ?`, id)
}

// AddBadge writes a new badge. ErrExists if one with its number is in force.
func (tx *Tx) AddBadge(b Badge) error {
	n, err := tx.exec(`INSERT INTO badges (`+badgeColumns+`) SELECT ?, ?, ?, ?, ?, ?, ?, 0, '', ?, ?, 0, ?, 0, ?, ?
		WHERE NOT EXISTS (SELECT 1 FROM badges WHERE lookup = ? AND revoked = 0)`,
		b.ID, string(b.Person), b.Lookup, b.Number, b.Label, b.Technology, int(b.Assurance), micro(b.NotAfter), micro(b.AssignedAt),
		cmp.Or(b.Source, "local"), flag(b.Temporary), b.Replaces, b.Lookup)
	if err == nil && n == 0 {
		err = ErrExists
	}
	if err != nil {
		return fmt.Errorf("add badge: %w", err)
	}
	return nil
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// changeBadge runs an update of one badge, which must be there.
func (tx *Tx) changeBadge(what, id, query string, args ...any) error {
	n, err := tx.exec(query, append(args, id)...)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("%s badge %s: %w", what, id, err)
	}
	return nil
}

// RevokeBadge makes a badge worthless for good.
func (tx *Tx) RevokeBadge(id, reason string) error {
	return tx.changeBadge("revoke", id, `UPDATE badges SET revoked = 1, reason = ? WHERE id = ?`, reason)
}

// LoseBadge makes a badge worthless until it is found; a zero time says that it was found.
func (tx *Tx) LoseBadge(id string, when time.Time) error {
	return tx.changeBadge("lose", id, `UPDATE badges SET lost_at = ? WHERE id = ?`, micro(when))
}

// DescribeBadge changes what is said of a badge: its label and its end, zero for none.
func (tx *Tx) DescribeBadge(id, label string, notAfter time.Time) error {
	return tx.changeBadge("describe", id, `UPDATE badges SET label = ?, not_after = ? WHERE id = ?`, label, micro(notAfter))
}

// SettleBadge says that a badge has taken the place of the one that it replaces.
func (tx *Tx) SettleBadge(id string) error {
	return tx.changeBadge("settle", id, `UPDATE badges SET replaces = '' WHERE id = ?`)
}

// BadgesOf reads every badge of a person, the newest first.
func (tx *Tx) BadgesOf(person record.PersonID) ([]Badge, error) {
	found, err := all(tx, scanBadge, `SELECT `+badgeColumns+` FROM badges WHERE person = ? ORDER BY assigned_at DESC, id`, string(person))
	if err != nil {
		return nil, fmt.Errorf("badges of %s: %w", person, err)
	}
	return found, nil
}

// UseBadge notes when a badge was used.
func (tx *Tx) UseBadge(id string, now time.Time) error {
	return tx.later("use badge "+id, `UPDATE badges SET last_used_at = ? WHERE id = ?`, micro(now), id)
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
