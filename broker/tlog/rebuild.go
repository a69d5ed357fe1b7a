package tlog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tapline/broker/alarm"
	"tapline/broker/store"
	"tapline/proto/checkpoint"
)

// Report is what Verify and Rebuild found.
type Report struct {
	Records uint64 // stored
	Size    uint64 // of the newest head
	Heads   int    // that were held against the records
	Tiles   int
	Faults  []error // at most maxFaults
}

// maxFaults bounds a report: the first ones tell.
const maxFaults = 20

func (r *Report) fault(format string, args ...any) {
	if len(r.Faults) < maxFaults {
		r.Faults = append(r.Faults, fmt.Errorf(format, args...))
	}
}

// Verify works the whole log out from the records and holds tiles, heads and the published checkpoint in the folder data against it. It changes
// nothing and may run beside a broker.
func Verify(ctx context.Context, s *store.Store, data string, progress func(records int)) (Report, error) {
	return replay(ctx, s, data, progress, func(tile checkpoint.TileHashes, r *Report) error {
		return s.View(ctx, func(tx *store.Tx) error {
			have, err := tx.LogTile(tile.Level, tile.Index)
			switch {
			case errors.Is(err, store.ErrNotFound):
				r.fault("%s is missing", tile.Path())
			case err != nil:
				return err
			case len(have) < len(tile.Hashes) || string(have[:len(tile.Hashes)]) != string(tile.Hashes):
				r.fault("%s has other hashes than its records", tile.Path())
			}
			return nil
		})
	})
}

// Rebuild makes the tiles anew from the records, up to the newest head. Heads stay: they are what was signed. store.ErrInUse if a broker runs on the
// store; before anything was changed if it did then, else after, and the tiles are to be made once more.
func Rebuild(ctx context.Context, s *store.Store, data string, progress func(records int)) (Report, error) {
	err := s.Update(ctx, func(tx *store.Tx) error {
		if err := tx.Alone(); err != nil {
			return err
		}
		return tx.ClearLogTiles()
	})
	if err != nil {
		return Report{}, err
	}
	r, err := replay(ctx, s, data, progress, func(tile checkpoint.TileHashes, _ *Report) error {
		return s.Update(ctx, func(tx *store.Tx) error { return tx.PutLogTile(tile.Level, tile.Index, tile.Hashes) })
	})
	if err == nil {
		err = s.Update(ctx, func(tx *store.Tx) error { return tx.Alone() })
	}
	return r, err
}

// replay works the tree out from the records, gives each tile once, and holds the heads against it.
func replay(ctx context.Context, s *store.Store, data string, progress func(int), give func(checkpoint.TileHashes, *Report) error) (Report, error) {
	var r Report
	var heads map[uint64]checkpoint.Hash
	err := s.View(ctx, func(tx *store.Tx) (err error) {
		if r.Records, err = tx.LastCursor(); err != nil {
			return err
		}
		heads, err = tx.LogRoots()
		for size := range heads {
			r.Size = max(r.Size, size)
		}
		return err
	})
	if err != nil {
		return r, err
	}
	if _, c, ok, err := ReadFile(data); err != nil {
		r.fault("%w", err)
	} else if ok {
		if c.Size > r.Size {
			r.fault("%w: %d records, %d were published", ErrBehind, r.Size, c.Size)
		} else if root, known := heads[c.Size]; known && root != c.Root {
			r.fault("%w: at size %d", ErrFork, c.Size)
		}
		heads[c.Size] = c.Root
	}
	b, err := checkpoint.NewBuilder(0, nil)
	if err != nil {
		return r, err
	}
	for b.Size() < r.Size {
		if err := r.step(ctx, s, b, heads, give); err != nil {
			return r, err
		}
		if progress != nil {
			progress(int(b.Size()))
		}
	}
	return r, nil
}

// step takes some records into the tree.
func (r *Report) step(ctx context.Context, s *store.Store, b *checkpoint.Builder, heads map[uint64]checkpoint.Hash, give func(checkpoint.TileHashes, *Report) error) error {
	var leaves [][]byte
	err := s.View(ctx, func(tx *store.Tx) (err error) {
		leaves, err = tx.Leaves(b.Size(), int(min(batch, r.Size-b.Size())))
		return err
	})
	if err == nil && len(leaves) == 0 {
		err = fmt.Errorf("%w: record %d is missing", ErrFork, b.Size()+1)
	}
	if err != nil {
		return err
	}
	for _, leaf := range leaves {
		b.Append(checkpoint.LeafHash(leaf))
		if want, ok := heads[b.Size()]; ok {
			r.Heads++
			if root, err := b.Root(); err != nil || root != want {
				r.fault("the records give the root %v at size %d, and %v was committed", root, b.Size(), want)
			}
		}
	}
	for _, tile := range b.Take() {
		if tile.Width < checkpoint.TileWidth && b.Size() < r.Size {
			continue // it grows
		}
		r.Tiles++
		if err := give(tile, r); err != nil {
			return err
		}
	}
	return nil
}

// Restart forgets the log and its key, so that the next start begins another one, with another name, over the records that are there. It is for a store
// whose newer copy was lost. kept is where the checkpoint of the old log went; empty if there was none.
// store.ErrInUse if a broker runs on the store; nothing was changed then.
func Restart(ctx context.Context, s *store.Store, data string, now time.Time) (kept string, err error) {
	_, c, ok, err := ReadFile(data)
	if err != nil {
		return "", err
	}
	err = s.Update(ctx, func(tx *store.Tx) error {
		if err := tx.Alone(); err != nil {
			return err
		}
		if err := tx.ForgetLog(keyName); err != nil {
			return err
		}
		return alarm.Raise(tx, alarm.LogFork, "", now, "the log was begun anew; of %s %d records had been published", c.Origin, c.Size)
	})
	if err != nil || !ok {
		return "", err
	}
	path := filepath.Join(data, FileName)
	kept = fmt.Sprintf("%s.lost-%d-%s", path, c.Size, now.UTC().Format("20060102T150405"))
	if err := os.Rename(path, kept); err != nil {
		return "", fmt.Errorf("keep the old checkpoint: %w", err)
	}
	return kept, syncFolder(data)
}
