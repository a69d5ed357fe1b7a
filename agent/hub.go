package agent

import (
	"context"
	"slices"
	"sync"

	"tapline/agent/session"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
)

// watchQueue is how many changes a watcher may be behind before it is let go.
const watchQueue = 64

// hub knows what the station shows and tells those who watch.
type hub struct {
	mu       sync.Mutex // guards the fields below
	now      *taplinev1.Presence
	watchers []*watcher
}

type watcher struct {
	changes chan *taplinev1.WatchPresenceResponse
}

func newHub(station record.StationID) *hub {
	return &hub{now: presenceOf(station, session.Presence{}, record.ModeAttribute, true)}
}

func (h *hub) presence() *taplinev1.Presence {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

// publish tells all watchers. It never waits: one that is too far behind is let go, and asks again.
func (h *hub) publish(now *taplinev1.Presence, notice *taplinev1.Notice) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = now
	h.watchers = slices.DeleteFunc(h.watchers, func(w *watcher) bool {
		select {
		case w.changes <- &taplinev1.WatchPresenceResponse{Presence: now, Notice: notice}:
			return false
		default:
			close(w.changes)
			return true
		}
	})
}

// watch gives the present state and then every change, until ctx ends.
func (h *hub) watch(ctx context.Context) <-chan *taplinev1.WatchPresenceResponse {
	w := &watcher{changes: make(chan *taplinev1.WatchPresenceResponse, watchQueue)}
	h.mu.Lock()
	defer h.mu.Unlock()
	w.changes <- &taplinev1.WatchPresenceResponse{Presence: h.now}
	h.watchers = append(h.watchers, w)
	context.AfterFunc(ctx, func() { h.leave(w) })
	return w.changes
}

func (h *hub) leave(w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := slices.Index(h.watchers, w); i >= 0 {
		h.watchers = slices.Delete(h.watchers, i, i+1)
		close(w.changes)
	}
}
