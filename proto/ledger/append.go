package ledger

import (
	"context"
	"fmt"
)

// request is one Append call in the line.
type request struct {
	data     [][]byte
	size     int64 // of its frames
	reserved bool
	index    Index
	err      error
	done     chan struct{} // holds one token once index and err are set
}

func (r *request) finish(index Index, err error) {
	r.index, r.err = index, err
	r.done <- struct{}{}
}

// Append writes the entries, in order and as one unit that a crash leaves whole or not at all, and returns the index of the first.
// They are durable when it returns nil. Calls that come while another is flushing share the next flush.
//
// ctx counts only while the call waits in line: an error of ctx means that nothing was written. Other errors: ErrFull, ErrTooLarge,
// ErrEmpty, ErrClosed (nothing was written), ErrFailed (unknown, see there). The data is not kept.
func (l *Ledger) Append(ctx context.Context, data ...[]byte) (Index, error) {
	return l.append(ctx, false, data)
}

// AppendReserved is Append for the entries that must still fit when the disk is full, such as those that close a session. It uses the
// reserve if there is no other space. ErrFull means that even the reserve is used up.
func (l *Ledger) AppendReserved(ctx context.Context, data ...[]byte) (Index, error) {
	return l.append(ctx, true, data)
}

func (l *Ledger) append(ctx context.Context, reserved bool, data [][]byte) (Index, error) {
	size, err := l.measure(data)
	if err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("append: %w", err)
	}
	r := l.requests.Get().(*request)
	defer l.requests.Put(r)
	*r = request{data: data, size: size, reserved: reserved, done: r.done}
	if err := l.enqueue(r); err != nil {
		return 0, err
	}
	if err := l.await(ctx, r); err != nil {
		return 0, err
	}
	r.data = nil
	return r.index, r.err
}

// measure checks the entries of one call and returns the size of their frames.
func (l *Ledger) measure(data [][]byte) (int64, error) {
	var size int64
	for _, d := range data {
		if len(d) == 0 {
			return 0, fmt.Errorf("append: %w", ErrEmpty)
		}
		if len(d) > l.o.MaxEntry {
			return 0, fmt.Errorf("append: entry of %d bytes, most is %d: %w", len(d), l.o.MaxEntry, ErrTooLarge)
		}
		size += frameSize(len(d))
	}
	if size == 0 {
		return 0, fmt.Errorf("append: %w", ErrEmpty)
	}
	if most := l.o.SegmentSize - dataStart; size > most {
		return 0, fmt.Errorf("append: call of %d bytes with frames, most is %d: %w", size, most, ErrTooLarge)
	}
	return size, nil
}

func (l *Ledger) enqueue(r *request) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.refusal(); err != nil {
		return err
	}
	l.queue = append(l.queue, r)
	return nil
}

// await returns once r is decided. There is no goroutine that writes: whoever gets the turn first writes for all in line.
func (l *Ledger) await(ctx context.Context, r *request) error {
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		if l.withdraw(r) {
			return fmt.Errorf("append: %w", ctx.Err())
		}
	case l.turn <- struct{}{}:
		if len(r.done) == 0 {
			l.commit()
		}
		l.pass()
	}
	<-r.done
	return nil
}

// withdraw takes r out of the line; false if somebody is already writing it.
func (l *Ledger) withdraw(r *request) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, q := range l.queue {
		if q == r {
			l.queue = append(l.queue[:i], l.queue[i+1:]...)
			return true
		}
	}
	return false
}
