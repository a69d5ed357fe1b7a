package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"tapline/proto/record"
)

// Sync is how far the synchronisation with an outside directory is.
type Sync struct {
	Source   string
	Revision uint64 // 0 before the first
	Cookie   []byte
	Doc      []byte // JSON of package sync
}

// Sync reads how far a source is; one that never was has revision 0.
func (tx *Tx) Sync(source string) (Sync, error) {
	s := Sync{Source: source}
	var revision int64
	var doc string
	err := tx.one(`SELECT revision, cookie, doc FROM syncs WHERE source = ?`, []any{source}, &revision, &s.Cookie, &doc)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return s, fmt.Errorf("read state of %s: %w", source, err)
	}
	s.Revision, s.Doc = uint64(revision), []byte(doc)
	return s, nil
}

// PutSync writes s if its revision is the stored one, else ErrRevision: somebody else has synchronised since it was read.
func (tx *Tx) PutSync(s Sync) error {
	n, err := tx.exec(`INSERT INTO syncs (source, revision, cookie, doc) SELECT ?, 1, ?, ?
		WHERE ? = 0 AND NOT EXISTS (SELECT 1 FROM syncs WHERE source = ?)`, s.Source, s.Cookie, string(s.Doc), int64(s.Revision), s.Source)
	if err == nil && n == 0 {
		n, err = tx.exec(`UPDATE syncs SET revision = revision + 1, cookie = ?, doc = ? WHERE source = ? AND revision = ?`,
			s.Cookie, string(s.Doc), s.Source, int64(s.Revision))
	}
	if err == nil && n == 0 {
		err = ErrRevision
	}
	if err != nil {
		return fmt.Errorf("write state of %s: %w", s.Source, err)
	}
	return nil
}

// Synced says which entry of an outside directory is which person.
type Synced struct {
	Key      string
	Person   record.PersonID
	Name     string
	Roles    []string
	LapsesAt time.Time // zero for never
	Again    bool
}

// Synced reads all entries of a source, by key.
func (tx *Tx) Synced(source string) ([]Synced, error) {
	found, err := all(tx, func(r scanner) (Synced, error) {
		var e Synced
		var roles string
		var lapses int64
		var again int
		if err := r.Scan(&e.Key, &e.Person, &e.Name, &roles, &lapses, &again); err != nil {
			return e, err
		}
		e.LapsesAt, e.Again = at(lapses), again != 0
		return e, json.Unmarshal([]byte(roles), &e.Roles)
	}, `SELECT key, person, name, roles, lapses_at, again FROM synced WHERE source = ? ORDER BY key`, source)
	if err != nil {
		return nil, fmt.Errorf("read entries of %s: %w", source, err)
	}
	return found, nil
}

// PutSynced writes an entry of a source.
func (tx *Tx) PutSynced(source string, e Synced) error {
	roles, err := json.Marshal(e.Roles)
	if err == nil {
		_, err = tx.exec(`INSERT INTO synced (source, key, person, name, roles, lapses_at, again) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (source, key) DO UPDATE SET person = excluded.person, name = excluded.name, roles = excluded.roles,
			lapses_at = excluded.lapses_at, again = excluded.again`,
			source, e.Key, string(e.Person), e.Name, string(roles), micro(e.LapsesAt), flag(e.Again))
	}
	if err != nil {
		return fmt.Errorf("write entry %s of %s: %w", e.Key, source, err)
	}
	return nil
}

// DeleteSynced forgets an entry of a source; one that is not there is passed over.
func (tx *Tx) DeleteSynced(source, key string) error {
	if _, err := tx.exec(`DELETE FROM synced WHERE source = ? AND key = ?`, source, key); err != nil {
		return fmt.Errorf("forget entry %s of %s: %w", key, source, err)
	}
	return nil
}
