package tlog

import (
	"context"
	"encoding/binary"
	"errors"

	"tapline/broker/store"
	"tapline/proto/checkpoint"
	"tapline/proto/wire"
)

// published is the newest checkpoint; NotFound before the first.
func published(tx *store.Tx, witnesses int) (store.LogHead, error) {
	h, err := tx.Published(witnesses)
	if errors.Is(err, store.ErrNotFound) && witnesses == 0 {
		return h, wire.E(wire.NotFound, "no checkpoint of the log was published yet; the first follows the first record within seconds")
	}
	if errors.Is(err, store.ErrNotFound) {
		return h, wire.E(wire.NotFound, "cosignatures: no checkpoint has those of %d witnesses", witnesses)
	}
	return h, err
}

// PublishedSize is how many records the newest checkpoint covers.
func PublishedSize(tx *store.Tx) (uint64, error) {
	h, err := tx.Published(0)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	return h.Size, err
}

// Checkpoint is the newest signed checkpoint that at least so many witnesses cosigned.
func (l *Log) Checkpoint(ctx context.Context, witnesses int) (signed []byte, err error) {
	err = l.Store.View(ctx, func(tx *store.Tx) error {
		h, err := published(tx, witnesses)
		if err != nil {
			return err
		}
		signed, err = tx.Signed(h)
		return err
	})
	return signed, err
}

// Covering is the newest signed checkpoint of at least a size: one that all witnesses cosigned if there is one, else any.
func (l *Log) Covering(ctx context.Context, size uint64) (signed []byte, err error) {
	err = l.Store.View(ctx, func(tx *store.Tx) error {
		h, err := tx.Published(len(l.Witnesses))
		if errors.Is(err, store.ErrNotFound) || err == nil && h.Size < size {
			h, err = published(tx, 0)
		}
		if err != nil {
			return err
		}
		signed, err = tx.Signed(h)
		return err
	})
	return signed, err
}

// sized finds the published size that a request means, 0 for the newest, and the checkpoint of it if there is one.
func sized(tx *store.Tx, field string, size uint64) (uint64, []byte, error) {
	newest, err := published(tx, 0)
	if err != nil {
		return 0, nil, err
	}
	if size > newest.Size {
		return 0, nil, wire.E(wire.Invalid, "%s: %d, the newest checkpoint has %d records", field, size, newest.Size)
	}
	h := newest
	if size != 0 && size != newest.Size {
		h, err = tx.LogHeadOf(size)
		if errors.Is(err, store.ErrNotFound) || err == nil && h.Checkpoint == nil {
			return size, nil, nil
		}
		if err != nil {
			return 0, nil, err
		}
	}
	signed, err := tx.Signed(h)
	return h.Size, signed, err
}

// Inclusion proves that a leaf is in the log of a size, 0 for that of the newest checkpoint. signed is empty where none was published for the size.
func (l *Log) Inclusion(ctx context.Context, leaf, size uint64) (path []checkpoint.Hash, signed []byte, err error) {
	err = l.Store.View(ctx, func(tx *store.Tx) error {
		if size, signed, err = sized(tx, "size", size); err != nil {
			return err
		}
		if leaf >= size {
			return wire.E(wire.Invalid, "leaf: %d is not in the log of %d records; leaves count from 0", leaf, size)
		}
		path, err = reader(tx).ProveInclusion(size, leaf)
		return err
	})
	return path, signed, err
}

// Consistency proves that the log of one size is the beginning of the log of another, 0 for that of the newest checkpoint.
func (l *Log) Consistency(ctx context.Context, from, to uint64) (path []checkpoint.Hash, signed []byte, err error) {
	err = l.Store.View(ctx, func(tx *store.Tx) error {
		if to, signed, err = sized(tx, "to_size", to); err != nil {
			return err
		}
		if from > to {
			return wire.E(wire.Invalid, "from_size: %d is above to_size, %d", from, to)
		}
		path, err = reader(tx).ProveConsistency(from, to)
		return err
	})
	return path, signed, err
}

// Tile is a tile of hashes, or a bundle of records, of the published log.
func (l *Log) Tile(ctx context.Context, t checkpoint.Tile) (data []byte, err error) {
	err = l.Store.View(ctx, func(tx *store.Tx) error {
		size, err := PublishedSize(tx)
		if err != nil {
			return err
		}
		if !t.In(size) {
			return wire.E(wire.NotFound, "path: the log of %d records has no %s", size, t.Path())
		}
		if t.Entries {
			data, err = bundle(tx, t)
			return err
		}
		hashes, err := tx.LogTile(t.Level, t.Index)
		if err != nil {
			return err
		}
		width := t.Width * len(checkpoint.Hash{})
		if len(hashes) < width {
			return wire.E(wire.Internal, "%s has %d bytes in the store", t.Path(), len(hashes))
		}
		data = hashes[:width]
		return nil
	})
	return data, err
}

// bundle is entries with their lengths before them.
func bundle(tx *store.Tx, t checkpoint.Tile) ([]byte, error) {
	leaves, err := tx.Leaves(t.First(), t.Width)
	if err != nil {
		return nil, err
	}
	var data []byte
	for _, leaf := range leaves {
		data = append(binary.BigEndian.AppendUint16(data, uint16(len(leaf))), leaf...)
	}
	return data, nil
}

// Reader reads the tree of the log. Each tile is read by itself: what a published size needs of it never changes.
func (l *Log) Reader(ctx context.Context) *checkpoint.Reader {
	return checkpoint.NewReader(func(level int, index uint64) (hashes []byte, err error) {
		err = l.Store.View(ctx, func(tx *store.Tx) error {
			hashes, err = tx.LogTile(level, index)
			return err
		})
		return hashes, err
	})
}
