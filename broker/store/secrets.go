package store

import (
	"fmt"
	"time"
)

// Secret reads a sealed secret.
func (tx *Tx) Secret(name string) ([]byte, error) {
	var sealed []byte
	if err := tx.one(`SELECT sealed FROM secrets WHERE name = ?`, []any{name}, &sealed); err != nil {
		return nil, fmt.Errorf("secret %s: %w", name, err)
	}
	return sealed, nil
}

// PutSecret writes a sealed secret over the one of that name.
func (tx *Tx) PutSecret(name string, sealed []byte, now time.Time) error {
	_, err := tx.exec(`INSERT INTO secrets (name, sealed, put_at) VALUES (?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, put_at = excluded.put_at`, name, sealed, micro(now))
	if err != nil {
		return fmt.Errorf("put secret %s: %w", name, err)
	}
	return nil
}
