package agent

import (
	"context"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

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
	waits    *taplinev1.Notice // a tap that waits for a person; nil for none
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

// waiting names the tap that waits for a person; empty for none.
func (h *hub) waiting() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.waits.GetSession()
}

// publish tells all watchers. It never waits: one that is too far behind is let go, and asks again. Whoever begins to watch hears of waits as well.
func (h *hub) publish(now *taplinev1.Presence, notice, waits *taplinev1.Notice) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now, h.waits = now, waits
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
	w.changes <- &taplinev1.WatchPresenceResponse{Presence: h.now, Notice: stillWaits(h.waits, time.Now())}
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

// stillWaits is the notice of a tap that waits, with the time that is left; nil when that is over.
func stillWaits(n *taplinev1.Notice, now time.Time) *taplinev1.Notice {
	left := n.GetAnswerBy().AsTime().Sub(now)
	if n == nil || left <= 0 {
		return nil
	}
	one := proto.CloneOf(n)
	one.Lasts = durationpb.New(left)
	return one
}
