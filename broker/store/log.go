package store

import (
	"errors"
	"fmt"
	"time"

	"tapline/proto/checkpoint"
)

// Shared reports whether other brokers may work on the store at the same time.
func (s *Store) Shared() bool { return s.engine.name() != "sqlite" }

// LogHead is a head of the Merkle log that a leader has committed itself to.
type LogHead struct {
	Size       uint64
	Root       checkpoint.Hash
	Epoch      uint64 // of the leader that wrote it
	At         time.Time
	Checkpoint []byte // signed, without cosignatures; nil until it was published
}

const headColumns = `size, root, epoch, at, checkpoint`

func scanHead(r scanner) (LogHead, error) {
	var h LogHead
	var size, epoch, when int64
	var root []byte
	if err := r.Scan(&size, &root, &epoch, &when, &h.Checkpoint); err != nil {
		return h, err
	}
	if len(root) != len(h.Root) {
		return h, fmt.Errorf("root of size %d has %d bytes", size, len(root))
	}
	h.Size, h.Root, h.Epoch, h.At = uint64(size), checkpoint.Hash(root), uint64(epoch), at(when)
	return h, nil
}

func (tx *Tx) head(what, where string, args ...any) (LogHead, error) {
	found, err := all(tx, scanHead, `SELECT `+headColumns+` FROM log_heads WHERE `+where+` ORDER BY size DESC LIMIT 1`, args...)
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return LogHead{}, fmt.Errorf("%s of the log: %w", what, err)
	}
	return found[0], nil
}

// LogHead reads the newest head that was committed, published or not.
func (tx *Tx) LogHead() (LogHead, error) { return tx.head("head", `size >= 0`) }

// LogHeadOf reads the head of a size.
func (tx *Tx) LogHeadOf(size uint64) (LogHead, error) {
	return tx.head("head", `size = ?`, int64(size))
}

// Published reads the newest head that was published; with cosignatures of at least so many witnesses.
func (tx *Tx) Published(witnesses int) (LogHead, error) {
	if witnesses == 0 {
		return tx.head("checkpoint", `checkpoint IS NOT NULL`)
	}
	var size int64
	err := tx.one(`SELECT size FROM log_cosignatures GROUP BY size HAVING COUNT(*) >= ? ORDER BY size DESC LIMIT 1`, []any{witnesses}, &size)
	if err != nil {
		return LogHead{}, fmt.Errorf("cosigned checkpoint of the log: %w", err)
	}
	return tx.LogHeadOf(uint64(size))
}

// AddLogHead commits to a head. ErrExists unless it is greater than every head before and of no earlier epoch.
func (tx *Tx) AddLogHead(h LogHead) error {
	last, err := tx.LogHead()
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if err == nil && (last.Size >= h.Size || last.Epoch > h.Epoch) {
		return fmt.Errorf("commit to the log of size %d in epoch %d, after size %d in epoch %d: %w", h.Size, h.Epoch, last.Size, last.Epoch, ErrExists)
	}
	_, err = tx.exec(`INSERT INTO log_heads (size, root, epoch, at) VALUES (?, ?, ?, ?)`, int64(h.Size), h.Root[:], int64(h.Epoch), micro(h.At))
	if err != nil {
		return fmt.Errorf("commit to the log of size %d: %w", h.Size, err)
	}
	return nil
}

// Publish keeps the signed checkpoint of a head, and forgets heads before it that never were published.
func (tx *Tx) Publish(size uint64, signed []byte) error {
	n, err := tx.exec(`UPDATE log_heads SET checkpoint = ? WHERE size = ?`, signed, int64(size))
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	if err == nil {
		_, err = tx.exec(`DELETE FROM log_heads WHERE size < ? AND checkpoint IS NULL`, int64(size))
	}
	if err != nil {
		return fmt.Errorf("publish the log of size %d: %w", size, err)
	}
	return nil
}

// LogSize is a size that has a head, and when that was committed.
type LogSize struct {
	Size uint64
	At   time.Time
}

// LogSizesBefore reads the sizes of heads that were committed before a time, from the smallest.
func (tx *Tx) LogSizesBefore(before time.Time) ([]LogSize, error) {
	found, err := all(tx, func(r scanner) (LogSize, error) {
		var size, when int64
		err := r.Scan(&size, &when)
		return LogSize{uint64(size), at(when)}, err
	}, `SELECT size, at FROM log_heads WHERE at < ? ORDER BY size`, micro(before))
	if err != nil {
		return nil, fmt.Errorf("read old heads of the log: %w", err)
	}
	return found, nil
}

// DropLogHead forgets a head with its cosignatures.
func (tx *Tx) DropLogHead(size uint64) error {
	_, err := tx.exec(`DELETE FROM log_cosignatures WHERE size = ?`, int64(size))
	if err == nil {
		_, err = tx.exec(`DELETE FROM log_heads WHERE size = ?`, int64(size))
	}
	if err != nil {
		return fmt.Errorf("forget head of size %d: %w", size, err)
	}
	return nil
}

// LogTile reads the hashes of a tile, as many as it has.
func (tx *Tx) LogTile(level int, number uint64) ([]byte, error) {
	var hashes []byte
	if err := tx.one(`SELECT hashes FROM log_tiles WHERE level = ? AND number = ?`, []any{level, int64(number)}, &hashes); err != nil {
		return nil, fmt.Errorf("tile %d of level %d: %w", number, level, err)
	}
	return hashes, nil
}

// PutLogTile writes a tile over what it was.
func (tx *Tx) PutLogTile(level int, number uint64, hashes []byte) error {
	_, err := tx.exec(`INSERT INTO log_tiles (level, number, hashes) VALUES (?, ?, ?)
		ON CONFLICT (level, number) DO UPDATE SET hashes = excluded.hashes`, level, int64(number), hashes)
	if err != nil {
		return fmt.Errorf("write tile %d of level %d: %w", number, level, err)
	}
	return nil
}

// ClearLogTiles takes all tiles away, to make them anew.
func (tx *Tx) ClearLogTiles() error {
	if _, err := tx.exec(`DELETE FROM log_tiles`); err != nil {
		return fmt.Errorf("clear tiles: %w", err)
	}
	return nil
}

// ForgetLog takes heads, cosignatures, tiles and the sealed key away: the next log is another one.
func (tx *Tx) ForgetLog(key string) error {
	if _, err := tx.exec(`DELETE FROM secrets WHERE name = ?`, key); err != nil {
		return fmt.Errorf("forget the log's key: %w", err)
	}
	for _, table := range []string{"log_cosignatures", "log_heads", "log_tiles"} {
		if _, err := tx.exec(`DELETE FROM ` + table); err != nil {
			return fmt.Errorf("forget the log: %w", err)
		}
	}
	return nil
}

// Leaves reads the data of leaves from an index on, limit at most: the envelopes of records, in the order of their cursors.
func (tx *Tx) Leaves(from uint64, limit int) ([][]byte, error) {
	next := from + 1
	found, err := all(tx, func(r scanner) ([]byte, error) {
		var cursor int64
		var envelope []byte
		err := r.Scan(&cursor, &envelope)
		if err == nil && uint64(cursor) != next {
			err = fmt.Errorf("record %d is missing", next)
		}
		next++
		return envelope, err
	}, `SELECT cursor, envelope FROM records WHERE cursor > ? ORDER BY cursor LIMIT ?`, int64(from), limit)
	if err != nil {
		return nil, fmt.Errorf("read leaves: %w", err)
	}
	return found, nil
}

// Cosigned is a witness's cosignature of a checkpoint.
type Cosigned struct {
	Size    uint64
	Witness string // verifier key
	Line    string // of the note, with its newline
	At      time.Time
}

// AddCosignature keeps a cosignature; of one witness the first for a size counts.
func (tx *Tx) AddCosignature(c Cosigned) error {
	_, err := tx.exec(`INSERT INTO log_cosignatures (size, witness, line, at) VALUES (?, ?, ?, ?) ON CONFLICT (size, witness) DO NOTHING`,
		int64(c.Size), c.Witness, c.Line, micro(c.At))
	if err != nil {
		return fmt.Errorf("keep cosignature for size %d: %w", c.Size, err)
	}
	return nil
}

const cosignedColumns = `size, witness, line, at`

func scanCosigned(r scanner) (Cosigned, error) {
	var c Cosigned
	var size, when int64
	err := r.Scan(&size, &c.Witness, &c.Line, &when)
	c.Size, c.At = uint64(size), at(when)
	return c, err
}

// Cosignatures reads those of a size, in the order of the witnesses' keys.
func (tx *Tx) Cosignatures(size uint64) ([]Cosigned, error) {
	found, err := all(tx, scanCosigned, `SELECT `+cosignedColumns+` FROM log_cosignatures WHERE size = ? ORDER BY witness`, int64(size))
	if err != nil {
		return nil, fmt.Errorf("read cosignatures for size %d: %w", size, err)
	}
	return found, nil
}

// LastCosignature reads the newest one of a witness.
func (tx *Tx) LastCosignature(witness string) (Cosigned, error) {
	found, err := all(tx, scanCosigned, `SELECT `+cosignedColumns+` FROM log_cosignatures WHERE witness = ? ORDER BY size DESC LIMIT 1`, witness)
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Cosigned{}, fmt.Errorf("last cosignature of a witness: %w", err)
	}
	return found[0], nil
}

// Signed is a published head's checkpoint with the cosignatures that are there.
func (tx *Tx) Signed(h LogHead) ([]byte, error) {
	lines, err := tx.Cosignatures(h.Size)
	if err != nil {
		return nil, err
	}
	signed := append([]byte(nil), h.Checkpoint...)
	for _, l := range lines {
		signed = append(signed, l.Line...)
	}
	return signed, nil
}

// LogRoots reads the root of every head that was committed.
func (tx *Tx) LogRoots() (map[uint64]checkpoint.Hash, error) {
	roots := map[uint64]checkpoint.Hash{}
	_, err := all(tx, func(r scanner) (struct{}, error) {
		var size int64
		var root []byte
		err := r.Scan(&size, &root)
		if err == nil && len(root) != len(checkpoint.Hash{}) {
			err = fmt.Errorf("root of size %d has %d bytes", size, len(root))
		}
		if err == nil {
			roots[uint64(size)] = checkpoint.Hash(root)
		}
		return struct{}{}, err
	}, `SELECT size, root FROM log_heads`)
	if err != nil {
		return nil, fmt.Errorf("read heads of the log: %w", err)
	}
	return roots, nil
}
