package quota

import (
	"context"
	"slices"
	"sync"
	"time"

	"tapline/proto/wire"
)

const (
	// slowTap is how long a tap may take before uploads make room for a while, and slowFor is that while.
	slowTap = 100 * time.Millisecond
	slowFor = time.Second
	// pressed is what part of the room uploads have while somebody taps.
	pressed = 8
	// maxWaiting bounds the queue of uploads, and maxWait how long one stands in it: an agent waits 15 s for a receipt.
	maxWaiting = 4096
	maxWait    = 8 * time.Second
	// comeBack is what who is sent away is told.
	comeBack = 3 * time.Second
)

// Admission lets uploads into the store by how many records are on their way already. While somebody waits for the answer to a tap there is an eighth
// of the room, because a tap's own write stands in the store's queue behind what is there. One upload is always let in, so none starve.
type Admission struct {
	now func() time.Time

	mu      sync.Mutex // guards what follows
	room    int        // records at once; not above 0 for any number
	inside  int        // records on their way
	batches int        // the same in batches
	taps    int        // that wait for their answer
	slow    time.Time  // until when taps count as slow
	waiting []*waiter  // oldest first
}

type waiter struct {
	n     int
	enter chan struct{}
}

// NewAdmission makes room for so many records at once.
func NewAdmission(room int, now func() time.Time) *Admission { return &Admission{room: room, now: now} }

// Tap says that somebody waits for an answer; the returned function says that they have it.
func (a *Admission) Tap() (answered func()) {
	begun := time.Now()
	a.mu.Lock()
	a.taps++
	a.mu.Unlock()
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.taps--
		if time.Since(begun) > slowTap {
			a.slow = a.now().Add(slowFor)
		}
		a.letIn()
	}
}

// fits reports whether n records more may enter. The caller holds mu.
func (a *Admission) fits(n int) bool {
	room := a.room
	if a.taps > 0 || a.now().Before(a.slow) {
		room /= pressed
	}
	return a.room <= 0 || a.batches == 0 || a.inside+n <= room
}

// letIn lets in who waits, in turn. The caller holds mu.
func (a *Admission) letIn() {
	for len(a.waiting) > 0 && a.fits(a.waiting[0].n) {
		w := a.waiting[0]
		a.waiting = a.waiting[1:]
		a.inside, a.batches = a.inside+w.n, a.batches+1
		close(w.enter)
	}
}

// Upload waits until n records may enter. A queue that is too long, or too slow, is an error of the kind Busy that says when to come back.
func (a *Admission) Upload(ctx context.Context, n int) (leave func(), err error) {
	leave = sync.OnceFunc(func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.inside, a.batches = a.inside-n, a.batches-1
		a.letIn()
	})
	a.mu.Lock()
	switch {
	case len(a.waiting) == 0 && a.fits(n):
		a.inside, a.batches = a.inside+n, a.batches+1
		a.mu.Unlock()
		return leave, nil
	case len(a.waiting) >= maxWaiting:
		a.mu.Unlock()
		return nil, wire.BusyFor(comeBack, "too many uploads wait; come back in %s (limits.records_at_once)", comeBack)
	}
	w := &waiter{n, make(chan struct{})}
	a.waiting = append(a.waiting, w)
	a.mu.Unlock()
	late := time.NewTimer(maxWait)
	defer late.Stop()
	look := time.NewTicker(slowFor / 4) // the time after a slow tap ends without anybody saying so
	defer look.Stop()
	for err == nil {
		select {
		case <-w.enter:
			return leave, nil
		case <-look.C:
			a.mu.Lock()
			a.letIn()
			a.mu.Unlock()
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-late.C:
			err = wire.BusyFor(comeBack, "taps go first; come back in %s with records (limits.records_at_once)", comeBack)
		}
	}
	a.mu.Lock()
	if i := slices.Index(a.waiting, w); i >= 0 {
		a.waiting = slices.Delete(a.waiting, i, i+1)
		a.letIn() // the next may be smaller
		a.mu.Unlock()
		return nil, err
	}
	a.mu.Unlock()
	return leave, nil // it was let in at that moment
}

// Load tells how many records are on their way, how many uploads wait, and how many taps are being answered.
func (a *Admission) Load() (records, waiting, taps int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.inside, len(a.waiting), a.taps
}
