package store

import (
	"fmt"
	"time"
)

// ScimToken is the token of a SCIM client.
type ScimToken struct {
	ID         string
	Name       string
	Hash       []byte
	MadeAt     time.Time
	MadeBy     string
	ExpiresAt  time.Time
	LastUsedAt time.Time // zero if never
	RevokedAt  time.Time // zero if not
}

const scimTokenColumns = `id, name, hash, made_at, made_by, expires_at, last_used_at, revoked_at`

func scanScimToken(r scanner) (ScimToken, error) {
	var t ScimToken
	var made, expires, used, revoked int64
	err := r.Scan(&t.ID, &t.Name, &t.Hash, &made, &t.MadeBy, &expires, &used, &revoked)
	t.MadeAt, t.ExpiresAt, t.LastUsedAt, t.RevokedAt = at(made), at(expires), at(used), at(revoked)
	return t, err
}

// AddScimToken writes a new token.
func (tx *Tx) AddScimToken(t ScimToken) error {
	_, err := tx.exec(`INSERT INTO scim_tokens (`+scimTokenColumns+`) VALUES (?, ?, ?, ?, ?, ?, 0, 0)`,
		t.ID, t.Name, t.Hash, micro(t.MadeAt), t.MadeBy, micro(t.ExpiresAt))
	if err != nil {
		return fmt.Errorf("add scim token %s: %w", t.ID, err)
	}
	return nil
}

// ScimTokenByHash finds a token by the hash of its secret.
func (tx *Tx) ScimTokenByHash(hash []byte) (ScimToken, error) {
	found, err := all(tx, scanScimToken, `SELECT `+scimTokenColumns+` FROM scim_tokens WHERE hash = ?`, hash)
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return ScimToken{}, fmt.Errorf("scim token: %w", err)
	}
	return found[0], nil
}

// UseScimToken notes when a token was used.
func (tx *Tx) UseScimToken(id string, now time.Time) error {
	if _, err := tx.exec(`UPDATE scim_tokens SET last_used_at = ? WHERE id = ?`, micro(now), id); err != nil {
		return fmt.Errorf("use scim token %s: %w", id, err)
	}
	return nil
}

// RevokeScimToken makes a token worthless.
func (tx *Tx) RevokeScimToken(id string, now time.Time) error {
	n, err := tx.exec(`UPDATE scim_tokens SET revoked_at = ? WHERE id = ?`, micro(now), id)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("revoke scim token %s: %w", id, err)
	}
	return nil
}

// ScimTokens lists tokens by ID.
func (tx *Tx) ScimTokens(p Page) ([]ScimToken, error) {
	found, err := all(tx, scanScimToken, `SELECT `+scimTokenColumns+` FROM scim_tokens WHERE id > ? ORDER BY id LIMIT ?`, p.After, p.Size)
	if err != nil {
		return nil, fmt.Errorf("list scim tokens: %w", err)
	}
	return found, nil
}

// Kinds of SCIM resources.
const (
	ScimUser  = "user"
	ScimGroup = "group"
)

// ScimResource is a user or a group as a SCIM client wrote it.
type ScimResource struct {
	Kind      string
	ID        string
	Name      string // in small letters; one of a kind
	Doc       string // JSON
	Version   uint64
	MadeAt    time.Time
	ChangedAt time.Time
}

const scimColumns = `kind, id, name, doc, version, made_at, changed_at`

func scanScim(r scanner) (ScimResource, error) {
	var s ScimResource
	var version, made, changed int64
	err := r.Scan(&s.Kind, &s.ID, &s.Name, &s.Doc, &version, &made, &changed)
	s.Version, s.MadeAt, s.ChangedAt = uint64(version), at(made), at(changed)
	return s, err
}

func (tx *Tx) firstScim(query string, args ...any) (ScimResource, error) {
	found, err := all(tx, scanScim, `SELECT `+scimColumns+` FROM scim_resources WHERE kind = ? AND `+query, args...)
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return ScimResource{}, fmt.Errorf("scim resource: %w", err)
	}
	return found[0], nil
}

// Scim reads one resource.
func (tx *Tx) Scim(kind, id string) (ScimResource, error) {
	return tx.firstScim(`id = ?`, kind, id)
}

// ScimByName finds a resource by its name in small letters.
func (tx *Tx) ScimByName(kind, name string) (ScimResource, error) {
	return tx.firstScim(`name = ?`, kind, name)
}

// EveryScim reads all resources of a kind, by ID.
func (tx *Tx) EveryScim(kind string) ([]ScimResource, error) {
	found, err := all(tx, scanScim, `SELECT `+scimColumns+` FROM scim_resources WHERE kind = ? ORDER BY id`, kind)
	if err != nil {
		return nil, fmt.Errorf("read scim resources: %w", err)
	}
	return found, nil
}

// PutScim writes a resource. Version is the one that it gets: 1 for a new one, else one more than the stored, or ErrRevision. ErrExists if another one has
// its name.
func (tx *Tx) PutScim(s ScimResource) error {
	other, err := all(tx, scanScim, `SELECT `+scimColumns+` FROM scim_resources WHERE kind = ? AND name = ? AND id <> ?`, s.Kind, s.Name, s.ID)
	if err != nil {
		return fmt.Errorf("put scim %s: %w", s.Kind, err)
	}
	if len(other) > 0 {
		return fmt.Errorf("put scim %s: %w", s.Kind, ErrExists)
	}
	var n int64
	if s.Version == 1 {
		n, err = tx.exec(`INSERT INTO scim_resources (`+scimColumns+`) VALUES (?, ?, ?, ?, 1, ?, ?) ON CONFLICT (kind, id) DO NOTHING`,
			s.Kind, s.ID, s.Name, s.Doc, micro(s.MadeAt), micro(s.ChangedAt))
	} else {
		n, err = tx.exec(`UPDATE scim_resources SET name = ?, doc = ?, version = ?, changed_at = ? WHERE kind = ? AND id = ? AND version = ?`,
			s.Name, s.Doc, int64(s.Version), micro(s.ChangedAt), s.Kind, s.ID, int64(s.Version)-1)
	}
	if err == nil && n == 0 {
		err = ErrRevision
	}
	if err != nil {
		return fmt.Errorf("put scim %s: %w", s.Kind, err)
	}
	return nil
}

// DeleteScim removes a resource and its memberships.
func (tx *Tx) DeleteScim(kind, id string) error {
	column := "user_id"
	if kind == ScimGroup {
		column = "group_id"
	}
	if _, err := tx.exec(`DELETE FROM scim_members WHERE `+column+` = ?`, id); err != nil {
		return fmt.Errorf("delete scim %s: %w", kind, err)
	}
	n, err := tx.exec(`DELETE FROM scim_resources WHERE kind = ? AND id = ?`, kind, id)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("delete scim %s: %w", kind, err)
	}
	return nil
}

// ScimMembership is one user in one group.
type ScimMembership struct{ Group, User string }

func scanMembership(r scanner) (ScimMembership, error) {
	var m ScimMembership
	err := r.Scan(&m.Group, &m.User)
	return m, err
}

// ScimMembers reads who is in which group: of one group if that is not empty, of one user if that is not empty.
func (tx *Tx) ScimMembers(group, user string) ([]ScimMembership, error) {
	found, err := all(tx, scanMembership, `SELECT group_id, user_id FROM scim_members WHERE (? = '' OR group_id = ?) AND (? = '' OR user_id = ?)
		ORDER BY group_id, user_id`, group, group, user, user)
	if err != nil {
		return nil, fmt.Errorf("read scim members: %w", err)
	}
	return found, nil
}

// PutScimMember puts a user into a group, or takes them out.
func (tx *Tx) PutScimMember(m ScimMembership, in bool) error {
	query := `DELETE FROM scim_members WHERE group_id = ? AND user_id = ?`
	if in {
		query = `INSERT INTO scim_members (group_id, user_id) VALUES (?, ?) ON CONFLICT (group_id, user_id) DO NOTHING`
	}
	if _, err := tx.exec(query, m.Group, m.User); err != nil {
		return fmt.Errorf("put scim member: %w", err)
	}
	return nil
}
