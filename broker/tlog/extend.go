package tlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tapline/broker/store"
	"tapline/proto/checkpoint"
)

// errLed says that another broker leads, or has meanwhile extended the log.
var errLed = errors.New("another broker leads")

// extend takes a batch of records into the tree and, when none is left or a second has passed, publishes the head.
func (l *Log) extend(ctx context.Context, now time.Time) (more bool, err error) {
	if lead, err := l.lead(ctx, now); err != nil || !lead {
		return false, err
	}
	p, err := l.plan(ctx)
	if err != nil {
		return false, err
	}
	if p.head.Size > p.from.Size {
		if err := l.commit(ctx, &p, now); err != nil {
			if errors.Is(err, errLed) {
				l.leading = false
				return false, nil
			}
			return false, err
		}
	}
	more = p.head.Size < p.records
	if more && now.Sub(l.signed) < Every && !now.Before(l.signed) {
		return true, nil
	}
	if p.head.Checkpoint == nil {
		if err := l.publish(ctx, p.head); err != nil {
			return false, err
		}
		l.signed = now
	}
	_, err = l.look(ctx, now)
	return more, err
}

// lead takes the lead if nobody has it, so that brokers that look on do not work out trees in vain.
func (l *Log) lead(ctx context.Context, now time.Time) (bool, error) {
	if l.leading {
		return true, nil
	}
	err := l.Store.Update(ctx, func(tx *store.Tx) (err error) {
		_, l.leading, err = tx.Lead(l.Holder, now, Term)
		return err
	})
	if l.leading {
		l.renewed = now
	}
	return l.leading && err == nil, err
}

// plan is a batch that is worked out and not written.
type plan struct {
	from, head store.LogHead
	tiles      []checkpoint.TileHashes
	records    uint64
}

// plan works out the next batch from a consistent snapshot, outside of the writer's turn. Records never change, so what was worked out stays right;
// commit looks whether it is still the next.
func (l *Log) plan(ctx context.Context) (plan, error) {
	var p plan
	err := l.Store.View(ctx, func(tx *store.Tx) (err error) {
		if p.records, err = tx.LastCursor(); err != nil {
			return err
		}
		if p.from, err = lastHead(tx); err != nil {
			return err
		}
		p.head = p.from
		b, err := checkpoint.NewBuilder(p.from.Size, tx.LogTile)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrTiles, err)
		}
		if root, err := b.Root(); err != nil || root != p.from.Root {
			return fmt.Errorf("%w: they give the root %v at size %d, and %v was committed", ErrTiles, root, p.from.Size, p.from.Root)
		}
		leaves, err := tx.Leaves(p.from.Size, batch)
		if err != nil || len(leaves) == 0 {
			return err
		}
		for _, data := range leaves {
			b.Append(checkpoint.LeafHash(data))
		}
		p.tiles = b.Take()
		p.head = store.LogHead{Size: b.Size()}
		p.head.Root, err = b.Root()
		return err
	})
	return p, err
}

// ErrTiles says that the tiles are not those of the head that was committed.
var ErrTiles = errors.New("the log's tiles are damaged; stop the broker and run tapbroker log rebuild")

// commit writes tiles and head, if this broker leads and nobody was faster.
func (l *Log) commit(ctx context.Context, p *plan, now time.Time) error {
	p.head.At = now
	return l.Store.Update(ctx, func(tx *store.Tx) error {
		epoch, lead, err := tx.Lead(l.Holder, now, Term)
		if err != nil {
			return err
		}
		if !lead {
			return errLed
		}
		if err := tx.Fenced(epoch); err != nil {
			return fmt.Errorf("%w: %w", errLed, err)
		}
		last, err := lastHead(tx)
		if err != nil {
			return err
		}
		if last.Size != p.from.Size || last.Root != p.from.Root {
			return errLed
		}
		for _, t := range p.tiles {
			if err := tx.PutLogTile(t.Level, t.Index, t.Hashes); err != nil {
				return err
			}
		}
		p.head.Epoch = epoch
		if err := tx.AddLogHead(p.head); err != nil {
			return err
		}
		return l.at(stepCommit)
	})
}

// publish signs a head that is committed, and lets others see it once the file has it.
func (l *Log) publish(ctx context.Context, head store.LogHead) error {
	if err := l.at(stepSign); err != nil {
		return err
	}
	signed, err := l.Key.sign(head)
	if err != nil {
		return err
	}
	if err := l.at(stepFile); err != nil {
		return err
	}
	_, last, ok, err := ReadFile(l.Data)
	if err != nil {
		return err
	}
	if ok && (last.Size > head.Size || last.Size == head.Size && last.Root != head.Root) {
		return fmt.Errorf("%w: size %d was published before, and %d is to be", ErrFork, last.Size, head.Size)
	}
	if err := writeFile(l.Data, signed); err != nil {
		return err
	}
	l.filed = head.Size
	if err := l.at(stepPublish); err != nil {
		return err
	}
	err = l.Store.Update(ctx, func(tx *store.Tx) error { return tx.Publish(head.Size, signed) })
	if errors.Is(err, store.ErrNotFound) {
		return nil // another broker has published a greater one meanwhile, and forgotten this
	}
	return err
}

// at is where a test lets the process die.
func (l *Log) at(s step) error {
	if l.fault == nil {
		return nil
	}
	return l.fault(s)
}
