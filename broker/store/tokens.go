package store

import (
	"fmt"
	"time"

	"tapline/proto/record"
)

// Token is a one-use enrolment token. Its secret is nowhere, only the secret's hash.
type Token struct {
	ID        string
	Hash      []byte
	Station   record.StationID
	MadeAt    time.Time
	MadeBy    string
	ExpiresAt time.Time
	UsedAt    time.Time // zero if not
	Request   []byte    // digest of the request that used it
	Reply     []byte    // sealed
	RevokedAt time.Time // zero if not
}

const tokenColumns = `id, hash, station, made_at, made_by, expires_at, used_at, request, reply, revoked_at`

func scanToken(r scanner) (Token, error) {
	var t Token
	var made, expires, used, revoked int64
	err := r.Scan(&t.ID, &t.Hash, &t.Station, &made, &t.MadeBy, &expires, &used, &t.Request, &t.Reply, &revoked)
	t.MadeAt, t.ExpiresAt, t.UsedAt, t.RevokedAt = at(made), at(expires), at(used), at(revoked)
	return t, err
}

// AddToken writes a new token.
func (tx *Tx) AddToken(t Token) error {
	_, err := tx.exec(`INSERT INTO tokens (id, hash, station, made_at, made_by, expires_at) VALUES (?, ?, ?, ?, ?, ?)`,
		t.ID, t.Hash, string(t.Station), micro(t.MadeAt), t.MadeBy, micro(t.ExpiresAt))
	if err != nil {
		return fmt.Errorf("add token: %w", err)
	}
	return nil
}

// TokenByHash finds a token by the hash of its secret.
func (tx *Tx) TokenByHash(hash []byte) (Token, error) {
	found, err := all(tx, scanToken, `SELECT `+tokenColumns+` FROM tokens WHERE hash = ?`, hash)
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Token{}, fmt.Errorf("token: %w", err)
	}
	return found[0], nil
}

// UseToken marks a token as used, with the answer to give again to the same request. ErrExists if it was used or revoked before: of any number
// of calls one succeeds.
func (tx *Tx) UseToken(id string, request, reply []byte, now time.Time) error {
	n, err := tx.exec(`UPDATE tokens SET used_at = ?, request = ?, reply = ? WHERE id = ? AND used_at = 0 AND revoked_at = 0`,
		micro(now), request, reply, id)
	if err == nil && n == 0 {
		err = ErrExists
	}
	if err != nil {
		return fmt.Errorf("use token %s: %w", id, err)
	}
	return nil
}

// RevokeToken makes a token worthless.
func (tx *Tx) RevokeToken(id string, now time.Time) error {
	n, err := tx.exec(`UPDATE tokens SET revoked_at = ?, reply = NULL WHERE id = ?`, micro(now), id)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("revoke token %s: %w", id, err)
	}
	return nil
}

// RevokeTokensOf makes the unused tokens of a station worthless.
func (tx *Tx) RevokeTokensOf(station record.StationID, now time.Time) error {
	_, err := tx.exec(`UPDATE tokens SET revoked_at = ? WHERE station = ? AND used_at = 0 AND revoked_at = 0`, micro(now), string(station))
	if err != nil {
		return fmt.Errorf("revoke tokens of %s: %w", station, err)
	}
	return nil
}

// Tokens lists tokens by ID.
func (tx *Tx) Tokens(p Page) ([]Token, error) {
	found, err := all(tx, scanToken, `SELECT `+tokenColumns+` FROM tokens WHERE id > ? ORDER BY id LIMIT ?`, p.After, p.Size)
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	return found, nil
}
