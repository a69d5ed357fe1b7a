package store

import (
	"fmt"
	"time"

	"tapline/proto/record"
	"tapline/proto/wire"
)

// Officer is a person who calls the broker.
type Officer struct {
	Name        string
	Role        wire.Role
	Source      string        // local, invite, oidc
	Subject     string        // of the ID token; empty for others
	Life        time.Duration // of each certificate
	AddedAt     time.Time
	AddedBy     string
	LastLoginAt time.Time // zero for never
	RevokedAt   time.Time // zero if not
	Reason      string
	ExpiresAt   time.Time // of the newest certificate that is not revoked; zero for none. Not written
}

const officerColumns = `name, role, source, subject, life, added_at, added_by, last_login_at, revoked_at, reason,
	COALESCE((SELECT MAX(c.not_after) FROM certificates c WHERE c.subject = officers.name AND c.role = officers.role AND c.revoked_at = 0), 0)`

func scanOfficer(r scanner) (Officer, error) {
	var o Officer
	var life, added, login, revoked, expires int64
	err := r.Scan(&o.Name, &o.Role, &o.Source, &o.Subject, &life, &added, &o.AddedBy, &login, &revoked, &o.Reason, &expires)
	o.Life = time.Duration(life) * time.Microsecond
	o.AddedAt, o.LastLoginAt, o.RevokedAt, o.ExpiresAt = at(added), at(login), at(revoked), at(expires)
	return o, err
}

// Officer finds an officer by name.
func (tx *Tx) Officer(name string) (Officer, error) {
	found, err := all(tx, scanOfficer, `SELECT `+officerColumns+` FROM officers WHERE name = ?`, name)
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Officer{}, fmt.Errorf("officer %s: %w", name, err)
	}
	return found[0], nil
}

// PutOfficer makes an officer or changes all of it but who added it.
func (tx *Tx) PutOfficer(o Officer) error {
	_, err := tx.exec(`INSERT INTO officers (name, role, source, subject, life, added_at, added_by, last_login_at, revoked_at, reason)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET role = excluded.role, source = excluded.source, subject = excluded.subject, life = excluded.life,
		last_login_at = excluded.last_login_at, revoked_at = excluded.revoked_at, reason = excluded.reason`,
		o.Name, string(o.Role), o.Source, o.Subject, o.Life.Microseconds(), micro(o.AddedAt), o.AddedBy, micro(o.LastLoginAt), micro(o.RevokedAt), o.Reason)
	if err != nil {
		return fmt.Errorf("put officer %s: %w", o.Name, err)
	}
	return nil
}

// Officers lists officers by name.
func (tx *Tx) Officers(p Page) ([]Officer, error) {
	found, err := all(tx, scanOfficer, `SELECT `+officerColumns+` FROM officers WHERE name > ? AND LOWER(name) LIKE ? ESCAPE '\'
		ORDER BY name LIMIT ?`, p.After, p.like(), p.Size)
	if err != nil {
		return nil, fmt.Errorf("list officers: %w", err)
	}
	return found, nil
}

// RevokeOfficerCertificates revokes every certificate of a name in the roles of people.
func (tx *Tx) RevokeOfficerCertificates(name string, now time.Time) error {
	for _, role := range wire.OfficerRoles() {
		if err := tx.RevokeCertificates(role, name, "", now); err != nil {
			return err
		}
	}
	return nil
}

// Invitation is a one-use invitation. Its secret is nowhere, only the secret's hash.
type Invitation struct {
	Hash      []byte
	Officer   string
	MadeAt    time.Time
	ExpiresAt time.Time
	UsedAt    time.Time // zero if not
	Request   []byte    // digest of the request that used it
	Reply     []byte
}

// AddInvitation writes a new invitation; the former ones of the officer are void.
func (tx *Tx) AddInvitation(i Invitation) error {
	if err := tx.VoidInvitations(i.Officer); err != nil {
		return err
	}
	_, err := tx.exec(`INSERT INTO invitations (hash, officer, made_at, expires_at) VALUES (?, ?, ?, ?)`,
		i.Hash, i.Officer, micro(i.MadeAt), micro(i.ExpiresAt))
	if err != nil {
		return fmt.Errorf("add invitation: %w", err)
	}
	return nil
}

// VoidInvitations forgets the invitations of an officer.
func (tx *Tx) VoidInvitations(officer string) error {
	if _, err := tx.exec(`DELETE FROM invitations WHERE officer = ?`, officer); err != nil {
		return fmt.Errorf("void invitations of %s: %w", officer, err)
	}
	return nil
}

// InvitationByHash finds an invitation by the hash of its secret.
func (tx *Tx) InvitationByHash(hash []byte) (Invitation, error) {
	found, err := all(tx, func(r scanner) (Invitation, error) {
		var i Invitation
		var made, expires, used int64
		err := r.Scan(&i.Hash, &i.Officer, &made, &expires, &used, &i.Request, &i.Reply)
		i.MadeAt, i.ExpiresAt, i.UsedAt = at(made), at(expires), at(used)
		return i, err
	}, `SELECT hash, officer, made_at, expires_at, used_at, request, reply FROM invitations WHERE hash = ?`, hash)
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Invitation{}, fmt.Errorf("invitation: %w", err)
	}
	return found[0], nil
}

// UseInvitation marks an invitation as used, with the answer to give again to the same request. ErrExists if it was used before.
func (tx *Tx) UseInvitation(hash, request, reply []byte, now time.Time) error {
	n, err := tx.exec(`UPDATE invitations SET used_at = ?, request = ?, reply = ? WHERE hash = ? AND used_at = 0`, micro(now), request, reply, hash)
	if err == nil && n == 0 {
		err = ErrExists
	}
	if err != nil {
		return fmt.Errorf("use invitation: %w", err)
	}
	return nil
}

// PurgeInvitations forgets invitations that ended before a time.
func (tx *Tx) PurgeInvitations(before time.Time) error {
	if _, err := tx.exec(`DELETE FROM invitations WHERE expires_at < ?`, micro(before)); err != nil {
		return fmt.Errorf("purge invitations: %w", err)
	}
	return nil
}

// Credential is a kind of thing that a person proves with who they are.
type Credential string

// The credentials that somebody gives to somebody.
const (
	CredentialBadge Credential = "badge"
	CredentialPIN   Credential = "pin"
)

// GiveCredential notes that actor gave a person a credential, and forgets what was noted before a time.
func (tx *Tx) GiveCredential(person record.PersonID, what Credential, actor string, now, forget time.Time) error {
	if _, err := tx.exec(`DELETE FROM credentials_given WHERE at < ?`, micro(forget)); err != nil {
		return fmt.Errorf("credentials of %s: %w", person, err)
	}
	_, err := tx.exec(`INSERT INTO credentials_given (person, what, actor, at) VALUES (?, ?, ?, ?)
		ON CONFLICT (person, what, actor) DO UPDATE SET at = excluded.at`, string(person), string(what), actor, micro(now))
	if err != nil {
		return fmt.Errorf("credentials of %s: %w", person, err)
	}
	return nil
}

// CredentialGiven is when actor last gave a person a credential; zero for not lately.
func (tx *Tx) CredentialGiven(person record.PersonID, what Credential, actor string) (time.Time, error) {
	found, err := all(tx, func(r scanner) (int64, error) {
		var t int64
		return t, r.Scan(&t)
	}, `SELECT at FROM credentials_given WHERE person = ? AND what = ? AND actor = ?`, string(person), string(what), actor)
	if err != nil {
		return time.Time{}, fmt.Errorf("credentials of %s: %w", person, err)
	}
	if len(found) == 0 {
		return time.Time{}, nil
	}
	return at(found[0]), nil
}
