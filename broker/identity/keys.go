package identity

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"tapline/broker/store"
	"tapline/broker/vault"
	"tapline/proto/grant"
	"tapline/proto/record"
)

// secret reads the secret of a name, making it with make if it is not there yet. Of two brokers that start at once, both get the same one.
func secret(ctx context.Context, s *store.Store, v *vault.Vault, now time.Time, name string, make func() ([]byte, error)) ([]byte, error) {
	var sealed []byte
	err := s.Update(ctx, func(tx *store.Tx) (err error) {
		if sealed, err = tx.Secret(name); !errors.Is(err, store.ErrNotFound) {
			return err
		}
		fresh, err := make()
		if err != nil {
			return err
		}
		sealed = v.Seal(name, fresh)
		return tx.PutSecret(name, sealed, now)
	})
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", name, err)
	}
	plain, err := v.Open(name, sealed)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w; is master.key the one that this store was made with?", name, err)
	}
	return plain, nil
}

// Evidence is the broker's evidence key: it signs station statements, receipts and grant bundles.
type Evidence struct {
	key  ed25519.PrivateKey
	from time.Time
}

type storedEvidence struct {
	Seed []byte    `json:"seed"`
	From time.Time `json:"from"`
}

// LoadEvidence reads the evidence key, making it at the first start.
func LoadEvidence(ctx context.Context, s *store.Store, v *vault.Vault, now time.Time) (*Evidence, error) {
	plain, err := secret(ctx, s, v, now, "evidence", func() ([]byte, error) {
		seed := make([]byte, ed25519.SeedSize)
		_, _ = rand.Read(seed)
		return json.Marshal(storedEvidence{Seed: seed, From: now.UTC().Truncate(time.Second)})
	})
	if err != nil {
		return nil, err
	}
	var e storedEvidence
	if err := json.Unmarshal(plain, &e); err != nil || len(e.Seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("evidence key is damaged: %w", err)
	}
	return &Evidence{key: ed25519.NewKeyFromSeed(e.Seed), from: e.From}, nil
}

// Public is the key that checks what Sign signs.
func (e *Evidence) Public() record.PublicKey { return record.PublicKeyOf(e.key) }

// Sign signs a statement.
func (e *Evidence) Sign(payloadType string, payload any) (record.Envelope, error) {
	return record.SignStatement(payloadType, payload, e.key)
}

// From is since when the key is in use.
func (e *Evidence) From() time.Time { return e.from }

// LoadSiteKey reads the site's badge key, from which each station's is derived, making it at the first start.
func LoadSiteKey(ctx context.Context, s *store.Store, v *vault.Vault, now time.Time) ([]byte, error) {
	return secret(ctx, s, v, now, "site-badge-key", func() ([]byte, error) {
		key := make([]byte, grant.KeySize)
		_, _ = rand.Read(key)
		return key, nil
	})
}
