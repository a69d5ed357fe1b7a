package localapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

const (
	beatEvery   = 15 * time.Second // a comment, so that both sides see a dead connection
	eventWithin = 5 * time.Second  // how long a page may take to read an event
	maxWatchers = 16
)

// watch sends the present state and then every change, as server-sent events. A page that comes back with Last-Event-ID gets what it missed.
func (w *web) watch(out http.ResponseWriter, r *http.Request) {
	if err := allowed(r.Context(), taplinev1.LocalService_WatchPresence_FullMethodName); err != nil {
		refuse(out, err, 0)
		return
	}
	ctx, leave := w.seats.take(r.Context())
	defer leave()
	out.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	out.WriteHeader(http.StatusOK)
	s := &sender{out: out, to: http.NewResponseController(out)}
	s.write("retry: 1000\n\n")
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	at := w.feed.number(r.Header.Get("Last-Event-ID"))
	for s.err == nil {
		events, more := w.feed.after(at)
		for _, e := range events {
			body, err := encode(changeFor(ctx, e.change))
			if err != nil {
				return
			}
			s.write("id: %s\nevent: presence\ndata: %s\n\n", w.feed.id(e.number), body)
			at = e.number
		}
		select {
		case <-more:
		case <-beat.C:
			s.write(": still here\n\n")
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), errSeatTaken) {
				s.write(": too many watch; the oldest goes\n\n")
			}
			return
		}
	}
}

// sender writes events; the first error stays.
type sender struct {
	out http.ResponseWriter
	to  *http.ResponseController
	err error
}

func (s *sender) write(format string, args ...any) {
	if s.err == nil {
		s.err = s.to.SetWriteDeadline(time.Now().Add(eventWithin))
	}
	if s.err == nil {
		_, s.err = fmt.Fprintf(s.out, format, args...)
	}
	if s.err == nil {
		s.err = s.to.Flush()
	}
}

// seats bounds how many watch over HTTP: whoever comes when all are taken gets that of the one who came first, which comes again by itself. So
// nobody can keep the panel out by taking all seats.
type seats struct {
	most int

	mu    sync.Mutex // guards taken
	taken []*seat
}

type seat struct{ end context.CancelCauseFunc }

var errSeatTaken = wire.E(wire.Busy, "too many watch")

func (s *seats) take(ctx context.Context) (context.Context, func()) {
	ctx, end := context.WithCancelCause(ctx)
	mine := &seat{end: end}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.taken) >= s.most {
		s.taken[0].end(errSeatTaken)
		s.taken = append([]*seat(nil), s.taken[1:]...)
	}
	s.taken = append(s.taken, mine)
	return ctx, func() { s.leave(mine) }
}

func (s *seats) leave(mine *seat) {
	mine.end(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, one := range s.taken {
		if one == mine {
			s.taken = append(s.taken[:i:i], s.taken[i+1:]...)
			return
		}
	}
}
