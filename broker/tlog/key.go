package tlog

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"tapline/broker/store"
	"tapline/broker/vault"
	"tapline/proto/checkpoint"
	"tapline/proto/record"
)

// keyName is where the log's key lies.
const keyName = "log-key"

// Key is the log's own key, and the name that goes with it.
type Key struct {
	Origin  string
	From    time.Time
	private ed25519.PrivateKey
}

type storedKey struct {
	Seed   []byte    `json:"seed"`
	Origin string    `json:"origin"`
	From   time.Time `json:"from"`
}

// LoadKey reads the log's key, making it at the first start. Of two brokers that start at once, both get the same one. The origin holds a
// part of the key's hash: two plants that both kept the site's default name have different logs.
func LoadKey(ctx context.Context, s *store.Store, v *vault.Vault, site string, now time.Time) (*Key, error) {
	var sealed []byte
	err := s.Update(ctx, func(tx *store.Tx) (err error) {
		if sealed, err = tx.Secret(keyName); !errors.Is(err, store.ErrNotFound) {
			return err
		}
		seed := make([]byte, ed25519.SeedSize)
		_, _ = rand.Read(seed)
		sum := sha256.Sum256(ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey))
		plain, err := json.Marshal(storedKey{
			Seed: seed, Origin: site + "/tapline/log/" + hex.EncodeToString(sum[:4]), From: now.UTC().Truncate(time.Second),
		})
		if err != nil {
			return err
		}
		sealed = v.Seal(keyName, plain)
		return tx.PutSecret(keyName, sealed, now)
	})
	if err != nil {
		return nil, fmt.Errorf("key of the log: %w", err)
	}
	plain, err := v.Open(keyName, sealed)
	if err != nil {
		return nil, fmt.Errorf("key of the log: %w; is master.key the one that this store was made with?", err)
	}
	var k storedKey
	if err := json.Unmarshal(plain, &k); err != nil || len(k.Seed) != ed25519.SeedSize || !checkpoint.ValidName(k.Origin) {
		return nil, fmt.Errorf("key of the log is damaged: %w", err)
	}
	return &Key{Origin: k.Origin, From: k.From, private: ed25519.NewKeyFromSeed(k.Seed)}, nil
}

// Verifier is the public key as auditors and witnesses are given it.
func (k *Key) Verifier() checkpoint.Key {
	return checkpoint.LogKey(k.Origin, k.private.Public().(ed25519.PublicKey))
}

// Statement is what the evidence key signs of the log: that it is the broker's.
func (k *Key) Statement() record.LogStatement {
	return record.LogStatement{V: record.Version, Origin: k.Origin, Key: record.PublicKeyOf(k.private), From: k.From}
}

func (k *Key) sign(h store.LogHead) ([]byte, error) {
	return checkpoint.Sign(checkpoint.Checkpoint{Origin: k.Origin, Size: h.Size, Root: h.Root}, k.private)
}
