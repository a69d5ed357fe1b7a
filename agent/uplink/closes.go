package uplink

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

const (
	// maxCloses bounds the queue. The record of a session's end reaches the broker too, so what falls out only frees its lease later.
	maxCloses   = 256
	closeWithin = 5 * time.Second
)

// closeQueue holds the ends of sessions that the broker has not confirmed, oldest first.
type closeQueue struct {
	mu      sync.Mutex
	waiting []pendingClose
	wake    chan struct{}
}

type pendingClose struct {
	req  *taplinev1.CloseSessionRequest
	told record.Seq // the record that says the same; 0 when there is none yet
}

// CloseSession tells the broker, in the background and as often as it takes, that a session has ended. told is the sequence number of the
// record that says so, 0 for none: when a receipt covers it, the broker knows. At most 256 wait; beyond that the oldest is left to its record.
func (u *Uplink) CloseSession(req *taplinev1.CloseSessionRequest, told record.Seq) {
	u.closes.mu.Lock()
	u.closes.waiting = append(u.closes.waiting, pendingClose{req, told})
	if over := len(u.closes.waiting) - maxCloses; over > 0 {
		u.closes.waiting = u.closes.waiting[over:]
		u.cfg.Log.Warn("too many session ends wait for the broker; the oldest is left to its record")
	}
	n := len(u.closes.waiting)
	u.closes.mu.Unlock()
	u.change(func(s *State) { s.Closes = n })
	select {
	case u.closes.wake <- struct{}{}:
	default:
	}
}

// next is the oldest that the broker does not know of, by its receipts.
func (q *closeQueue) next(acked record.Seq) (pendingClose, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.waiting) > 0 {
		if c := q.waiting[0]; c.told == 0 || c.told > acked {
			return c, true
		}
		q.waiting = q.waiting[1:]
	}
	return pendingClose{}, false
}

// done takes c out.
func (q *closeQueue) done(c pendingClose) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) > 0 && q.waiting[0].req == c.req {
		q.waiting = q.waiting[1:]
	}
}

func (q *closeQueue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// sendCloses empties the queue while the line lasts.
func (u *Uplink) sendCloses(ctx context.Context, l *line) error {
	for {
		c, ok := u.closes.next(u.State().Acked)
		u.change(func(s *State) { s.Closes = u.closes.len() })
		if !ok {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-u.closes.wake:
			}
			continue
		}
		if err := l.closeSession(ctx, c); err != nil {
			return err
		}
		u.closes.done(c)
	}
}

// closeSession fails only with the line: what the broker refuses it need not be told again.
func (l *line) closeSession(ctx context.Context, c pendingClose) error {
	within, cancel := context.WithTimeout(ctx, closeWithin)
	defer cancel()
	_, err := l.client.CloseSession(within, c.req)
	switch wire.KindOf(err) {
	case wire.None, wire.NotFound:
		return nil
	case wire.Unavailable, wire.Deadline, wire.Cancelled:
		return err
	}
	l.u.cfg.Log.Warn("the broker does not close a session", zap.String("session", c.req.GetSession()), zap.Error(err))
	return nil
}
