package store

import (
	"fmt"
	"time"
)

// VaultKey is the vault's root key, wrapped under one master key.
type VaultKey struct {
	Master  string // the master key's name
	Wrapped []byte
	MadeAt  time.Time
}

// VaultKeys reads every wrapping of the vault's root key, oldest first.
func (tx *Tx) VaultKeys() ([]VaultKey, error) {
	found, err := all(tx, func(r scanner) (VaultKey, error) {
		var k VaultKey
		var made int64
		err := r.Scan(&k.Master, &k.Wrapped, &made)
		k.MadeAt = at(made)
		return k, err
	}, `SELECT master, wrapped, made_at FROM vault_keys ORDER BY made_at, master`)
	if err != nil {
		return nil, fmt.Errorf("read vault keys: %w", err)
	}
	return found, nil
}

// PutVaultKey writes a wrapping over the one under the same master key.
func (tx *Tx) PutVaultKey(k VaultKey) error {
	_, err := tx.exec(`INSERT INTO vault_keys (master, wrapped, made_at) VALUES (?, ?, ?)
		ON CONFLICT (master) DO UPDATE SET wrapped = excluded.wrapped, made_at = excluded.made_at`, k.Master, k.Wrapped, micro(k.MadeAt))
	if err != nil {
		return fmt.Errorf("put vault key: %w", err)
	}
	return nil
}

// DropVaultKeys removes every wrapping but the one under a master key, and says how many there were.
func (tx *Tx) DropVaultKeys(but string) (int64, error) {
	n, err := tx.exec(`DELETE FROM vault_keys WHERE master <> ?`, but)
	if err != nil {
		return 0, fmt.Errorf("drop vault keys: %w", err)
	}
	return n, nil
}

// HasSecrets says whether anything was sealed before the vault had a root key of its own.
func (tx *Tx) HasSecrets() (bool, error) {
	var n int64
	if err := tx.one(`SELECT COUNT(*) FROM secrets`, nil, &n); err != nil {
		return false, fmt.Errorf("count secrets: %w", err)
	}
	return n > 0, nil
}
