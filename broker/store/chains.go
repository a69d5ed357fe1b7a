package store

import (
	"encoding/json"
	"fmt"
	"time"

	"tapline/proto/record"
)

// Chain is a chain of records as far as the broker has it.
type Chain struct {
	ID         record.ChainID
	Station    record.StationID
	Statement  []byte // DSSE envelope
	Head       record.Head
	EnrolledAt time.Time
	LastAt     time.Time // when the newest record was stored; zero before the first
}

const chainColumns = `chain, station, statement, head, enrolled_at, last_at`

func scanChain(r scanner) (Chain, error) {
	var c Chain
	var head string
	var enrolled, last int64
	if err := r.Scan(&c.ID, &c.Station, &c.Statement, &head, &enrolled, &last); err != nil {
		return c, err
	}
	c.EnrolledAt, c.LastAt = at(enrolled), at(last)
	if err := json.Unmarshal([]byte(head), &c.Head); err != nil {
		return c, fmt.Errorf("decode head: %w", err)
	}
	return c, nil
}

// Chain reads one chain.
func (tx *Tx) Chain(id record.ChainID) (Chain, error) {
	found, err := all(tx, scanChain, `SELECT `+chainColumns+` FROM chains WHERE chain = ?`, string(id))
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Chain{}, fmt.Errorf("chain %s: %w", id, err)
	}
	return found[0], nil
}

// LastChain reads the newest chain of a station that has records.
func (tx *Tx) LastChain(id record.StationID) (Chain, error) {
	found, err := all(tx, scanChain, `SELECT `+chainColumns+` FROM chains WHERE station = ? AND seq > 0
		ORDER BY enrolled_at DESC LIMIT 1`, string(id))
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Chain{}, fmt.Errorf("last chain of %s: %w", id, err)
	}
	return found[0], nil
}

// Chains reads the chains of the stations from first to last in the order of their names, in the order of their beginning.
func (tx *Tx) Chains() ([]Chain, error) {
	found, err := all(tx, scanChain, `SELECT `+chainColumns+` FROM chains ORDER BY station, enrolled_at, chain`)
	if err != nil {
		return nil, fmt.Errorf("read chains: %w", err)
	}
	return found, nil
}

// AddChain writes a new chain and the key of its first epoch. ErrExists if it is there.
func (tx *Tx) AddChain(c Chain) error {
	head, err := json.Marshal(c.Head)
	if err != nil {
		return fmt.Errorf("encode head: %w", err)
	}
	n, err := tx.exec(`INSERT INTO chains (chain, station, statement, head, seq, enrolled_at) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (chain) DO NOTHING`, string(c.ID), string(c.Station), c.Statement, string(head), int64(c.Head.Seq), micro(c.EnrolledAt))
	if err == nil && n == 0 {
		err = ErrExists
	}
	if err != nil {
		return fmt.Errorf("add chain %s: %w", c.ID, err)
	}
	return tx.addEpoch(c.ID, c.Head.Epoch, c.Head.EpochKey)
}

func (tx *Tx) addEpoch(chain record.ChainID, epoch record.Epoch, key record.PublicKey) error {
	_, err := tx.exec(`INSERT INTO epochs (chain, epoch, key) VALUES (?, ?, ?)`, string(chain), int64(epoch), key[:])
	if err != nil {
		return fmt.Errorf("add epoch %d of chain %s: %w", epoch, chain, err)
	}
	return nil
}

// EpochKey reads the key of an epoch.
func (tx *Tx) EpochKey(chain record.ChainID, epoch record.Epoch) (record.PublicKey, error) {
	var raw []byte
	if err := tx.one(`SELECT key FROM epochs WHERE chain = ? AND epoch = ?`, []any{string(chain), int64(epoch)}, &raw); err != nil {
		return record.PublicKey{}, fmt.Errorf("key of epoch %d of chain %s: %w", epoch, chain, err)
	}
	return record.NewPublicKey(raw)
}

// ErrMoved says that a chain's head is not where the caller thought.
var ErrMoved = fmt.Errorf("the head moved: %w", ErrRevision)

// Append writes records that follow the head from, and makes to the head. ErrMoved if from is not the stored head. The caller has verified
// them: checked tells whether an entry's own signature was.
func (tx *Tx) Append(from, to record.Head, entries []record.Entry, checked func(i int) bool, now time.Time) error {
	head, err := json.Marshal(to)
	if err != nil {
		return fmt.Errorf("encode head: %w", err)
	}
	n, err := tx.exec(`UPDATE chains SET head = ?, seq = ?, last_at = ? WHERE chain = ? AND seq = ?`,
		string(head), int64(to.Seq), micro(now), string(from.Chain), int64(from.Seq))
	if err == nil && n == 0 {
		err = ErrMoved
	}
	if err != nil {
		return fmt.Errorf("append to chain %s: %w", from.Chain, err)
	}
	cursor, err := tx.Next("cursor", uint64(len(entries)))
	if err != nil {
		return err
	}
	if err := tx.addRecords(cursor, entries, checked, now); err != nil {
		return err
	}
	for _, e := range entries {
		if s := e.Payload.Seal; s != nil {
			if err := tx.addEpoch(from.Chain, e.Payload.Epoch+1, s.Next); err != nil {
				return err
			}
		}
	}
	return nil
}
