package scim

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"github.com/google/uuid"

	"tapline/broker/store"
)

// Lifetimes of a token.
const (
	TokenLife    = 365 * 24 * time.Hour
	MaxTokenLife = 1096 * 24 * time.Hour
)

// NewToken makes a token and its secret. Only the secret's hash is kept: it is random enough that nothing slower is needed.
func NewToken(tx *store.Tx, name, by string, lifetime time.Duration, now time.Time) (store.ScimToken, string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return store.ScimToken{}, "", err
	}
	raw := make([]byte, 32)
	_, _ = rand.Read(raw)
	secret := "tapscim_" + base64.RawURLEncoding.EncodeToString(raw)
	hash := sha256.Sum256([]byte(secret))
	t := store.ScimToken{ID: id.String(), Name: name, Hash: hash[:], MadeAt: now, MadeBy: by, ExpiresAt: now.Add(lifetime)}
	return t, secret, tx.AddScimToken(t)
}
