package reader

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Relay runs watch and hands the events that it pushes to emit, in order, one at a time. Push never blocks: while emit does, events wait in
// memory, so a source that watches hardware loses no tap to a slow consumer. Relay returns watch's error once both have ended; when ctx
// ends, events still waiting are dropped, because nobody consumes them any more.
func Relay(ctx context.Context, emit func(Event), watch func(ctx context.Context, push func(Event)) error) error {
	q := &queue{filled: make(chan struct{}, 1)}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return watch(ctx, q.push) })
	group.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-q.filled:
			}
			for _, e := range q.take() {
				if ctx.Err() != nil {
					return nil
				}
				emit(e)
			}
		}
	})
	return group.Wait()
}

// queue holds events between a watcher and a consumer.
type queue struct {
	mu     sync.Mutex // guards events
	events []Event
	filled chan struct{} // has one element when events may be waiting
}

func (q *queue) push(e Event) {
	q.mu.Lock()
	q.events = append(q.events, e)
	q.mu.Unlock()
	select {
	case q.filled <- struct{}{}:
	default:
	}
}

func (q *queue) take() []Event {
	q.mu.Lock()
	defer q.mu.Unlock()
	events := q.events
	q.events = nil
	return events
}
