package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"tapline/broker/store"
	"tapline/proto/checkpoint"
)

func (e Engine) log(t *testing.T) {
	t.Run("a size has one head, and heads only grow", e.heads)
	t.Run("old heads are found and forgotten, with their cosignatures", e.dropped)
	t.Run("a checkpoint comes with its cosignatures", e.cosigned)
	t.Run("leaves are the records in the order of their cursors", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			c, err := chainOf(tx, press, 1)
			if err != nil {
				return err
			}
			from := c.Head()
			entries, err := c.write(5)
			if err != nil {
				return err
			}
			if err := tx.Append(from, c.Head(), entries, no, begin()); err != nil {
				return err
			}
			leaves, err := tx.Leaves(1, 3)
			if err != nil || len(leaves) != 3 || string(leaves[0]) != string(entries[1].Envelope.Bytes()) || string(leaves[2]) != string(entries[3].Envelope.Bytes()) {
				return fmt.Errorf("%d leaves, %w", len(leaves), err)
			}
			none, err := tx.Leaves(5, 3)
			if len(none) != 0 {
				return errors.New("leaves behind the last record")
			}
			return err
		})
	})
	t.Run("a tile is written over, and all are cleared", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			errs := []error{tx.PutLogTile(0, 1<<40, []byte("one")), tx.PutLogTile(0, 1<<40, []byte("two"))}
			got, err := tx.LogTile(0, 1<<40)
			if string(got) != "two" {
				errs = append(errs, fmt.Errorf("tile is %q", got))
			}
			errs = append(errs, err, tx.ClearLogTiles())
			_, err = tx.LogTile(0, 1<<40)
			return errors.Join(append(errs, want("cleared", err, store.ErrNotFound))...)
		})
	})
}

func headOf(size, epoch uint64, at time.Duration) store.LogHead {
	return store.LogHead{Size: size, Root: checkpoint.LeafHash(fmt.Append(nil, size)), Epoch: epoch, At: begin().Add(at)}
}

func (e Engine) heads(t *testing.T) {
	do(t, e.fresh(t), func(tx *store.Tx) error {
		_, err := tx.LogHead()
		errs := []error{
			want("before the first", err, store.ErrNotFound),
			tx.AddLogHead(headOf(10, 2, 0)), want("the same size", tx.AddLogHead(headOf(10, 3, 0)), store.ErrExists),
			want("a smaller one", tx.AddLogHead(headOf(9, 3, 0)), store.ErrExists), want("of an epoch before", tx.AddLogHead(headOf(11, 1, 0)), store.ErrExists),
		}
		_, err = tx.Published(0)
		errs = append(errs, want("nothing published", err, store.ErrNotFound), tx.AddLogHead(headOf(20, 2, time.Second)), tx.Publish(20, []byte("signed")),
			want("publish what was not committed", tx.Publish(21, []byte("x")), store.ErrNotFound))
		_, err = tx.LogHeadOf(10)
		errs = append(errs, want("one that was never published", err, store.ErrNotFound))
		got, err := tx.Published(0)
		if got.Size != 20 || got.Root != headOf(20, 0, 0).Root || string(got.Checkpoint) != "signed" || got.Epoch != 2 || !got.At.Equal(begin().Add(time.Second)) {
			errs = append(errs, fmt.Errorf("published %+v", got))
		}
		all, err2 := tx.LogRoots()
		if len(all) != 1 {
			errs = append(errs, fmt.Errorf("%d heads", len(all)))
		}
		return errors.Join(append(errs, err, err2)...)
	})
}

func (e Engine) dropped(t *testing.T) {
	do(t, e.fresh(t), func(tx *store.Tx) error {
		var errs []error
		for i := range uint64(9) {
			errs = append(errs, tx.AddLogHead(headOf(i+1, 1, time.Duration(i)*time.Minute)), tx.Publish(i+1, []byte("x")),
				tx.AddCosignature(store.Cosigned{Size: i + 1, Witness: "w", Line: "l", At: begin()}))
		}
		old, err := tx.LogSizesBefore(begin().Add(3 * time.Minute))
		if len(old) != 3 || old[0].Size != 1 || old[2].Size != 3 || !old[2].At.Equal(begin().Add(2*time.Minute)) {
			errs = append(errs, fmt.Errorf("old ones are %v", old))
		}
		errs = append(errs, err, tx.DropLogHead(2), tx.DropLogHead(2))
		roots, err := tx.LogRoots()
		if _, there := roots[2]; there || len(roots) != 8 || roots[9] != headOf(9, 1, 0).Root {
			errs = append(errs, fmt.Errorf("roots are %v", roots))
		}
		gone, err2 := tx.Cosignatures(2)
		kept, err3 := tx.Cosignatures(3)
		if len(gone) != 0 || len(kept) != 1 {
			errs = append(errs, fmt.Errorf("%d and %d cosignatures stay", len(gone), len(kept)))
		}
		return errors.Join(append(errs, err, err2, err3)...)
	})
}

func (e Engine) cosigned(t *testing.T) {
	do(t, e.fresh(t), func(tx *store.Tx) error {
		_, err := tx.LastCosignature("w-1")
		errs := []error{want("before the first", err, store.ErrNotFound)}
		for size, witnesses := range []int{2, 1, 0} {
			errs = append(errs, tx.AddLogHead(headOf(uint64(size+1), 1, 0)), tx.Publish(uint64(size+1), []byte("signed\n")))
			for w := range witnesses {
				c := store.Cosigned{Size: uint64(size + 1), Witness: fmt.Sprintf("w-%d", w+1), Line: fmt.Sprintf("by w-%d\n", w+1), At: begin()}
				again := c
				again.Line = "another"
				errs = append(errs, tx.AddCosignature(c), tx.AddCosignature(again))
			}
		}
		for witnesses, size := range []uint64{3, 2, 1} {
			h, err := tx.Published(witnesses)
			if err != nil || h.Size != size {
				errs = append(errs, fmt.Errorf("with %d cosignatures: size %d, want %d, %w", witnesses, h.Size, size, err))
			}
		}
		_, err = tx.Published(3)
		errs = append(errs, want("with three", err, store.ErrNotFound))
		signed, err := tx.Signed(store.LogHead{Size: 1, Checkpoint: []byte("signed\n")})
		if string(signed) != "signed\nby w-1\nby w-2\n" {
			errs = append(errs, fmt.Errorf("signed %q", signed))
		}
		last, err2 := tx.LastCosignature("w-1")
		if last.Size != 2 {
			errs = append(errs, fmt.Errorf("the last one is for %d", last.Size))
		}
		return errors.Join(append(errs, err, err2)...)
	})
}
