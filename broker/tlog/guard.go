package tlog

import (
	"context"
	"errors"
	"fmt"

	"tapline/broker/store"
	"tapline/proto/checkpoint"
)

// ErrBehind says that the store's log is shorter than one that was published: the store is an older copy.
var ErrBehind = errors.New("the store's log is behind the published checkpoint")

// ErrFork says that the store's log has another history than one that was published.
var ErrFork = errors.New("the store's log is not the one that was published")

// Check holds the store to the checkpoint in the data folder: the log must reach as far, and have the same root there.
func Check(ctx context.Context, s *store.Store, data string) error {
	_, c, ok, err := ReadFile(data)
	if err != nil || !ok {
		return err
	}
	return s.View(ctx, func(tx *store.Tx) error { return Holds(tx, c) })
}

// Holds says whether the store's log has a published checkpoint in it. The error wraps ErrBehind or ErrFork if it has not.
func Holds(tx *store.Tx, c checkpoint.Checkpoint) error {
	head, err := lastHead(tx)
	if err != nil {
		return err
	}
	if head.Size < c.Size {
		return fmt.Errorf("%w: it has %d records, and %d were published", ErrBehind, head.Size, c.Size)
	}
	root, err := reader(tx).Root(c.Size)
	if err != nil {
		return fmt.Errorf("root of the log at size %d: %w", c.Size, err)
	}
	if root != c.Root {
		return fmt.Errorf("%w: at size %d its root is %v, and %v was published", ErrFork, c.Size, root, c.Root)
	}
	return nil
}

// lastHead is the newest head that was committed; that of the empty log before the first.
func lastHead(tx *store.Tx) (store.LogHead, error) {
	head, err := tx.LogHead()
	if errors.Is(err, store.ErrNotFound) {
		return store.LogHead{Root: checkpoint.EmptyRoot()}, nil
	}
	return head, err
}

// reader reads the tree of a transaction.
func reader(tx *store.Tx) *checkpoint.Reader { return checkpoint.NewReader(tx.LogTile) }
