package localapi

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	taplinev1 "tapline/proto/tapline/v1"
)

// keepEvents is how many changes a page that was away for a moment can be told of afterwards.
const keepEvents = 64

// feed numbers what the station shows, so that a page which lost its connection gets what it missed. It watches the station once, for all pages.
type feed struct {
	boot string // tells the numbers of this run from those of the last one

	mu   sync.Mutex // guards the fields below
	last uint64
	kept []event
	// waits is the newest notice of a tap that waits for a person; nil for none.
	waits *taplinev1.Notice
	wake  chan struct{} // closed when there is more
}

// event is one change with its number.
type event struct {
	number uint64
	change *taplinev1.WatchPresenceResponse
}

func newFeed() *feed { return &feed{boot: rand.Text()[:8], wake: make(chan struct{})} }

// run follows the station until ctx ends.
func (f *feed) run(ctx context.Context, station Station) error {
	for ctx.Err() == nil {
		for change := range station.Watch(ctx) {
			f.add(change)
		}
	}
	return nil
}

func (f *feed) add(change *taplinev1.WatchPresenceResponse) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := len(f.kept); n > 0 && change.GetNotice() == nil && proto.Equal(f.kept[n-1].change.GetPresence(), change.GetPresence()) {
		return // a watch begins with the state that is known already
	}
	switch change.GetNotice().GetKind() {
	case taplinev1.NoticeKind_NOTICE_KIND_PIN_NEEDED, taplinev1.NoticeKind_NOTICE_KIND_SECOND_PERSON_NEEDED:
		f.waits = change.GetNotice()
	case taplinev1.NoticeKind_NOTICE_KIND_UNSPECIFIED, taplinev1.NoticeKind_NOTICE_KIND_REFUSED: // somebody is there, or is not, since
		f.waits = nil
	}
	f.last++
	f.kept = append(f.kept, event{f.last, change})
	if len(f.kept) > keepEvents {
		f.kept = append([]event(nil), f.kept[1:]...)
	}
	close(f.wake)
	f.wake = make(chan struct{})
}

// after gives the changes after a number, and a channel that is closed when there are more. Whoever comes without a number, or with one that is too
// old or of another run, gets the present state, and the tap that waits for a person if one does.
func (f *feed) after(number uint64) ([]event, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.kept)
	if n == 0 {
		return nil, f.wake
	}
	if number == 0 || number > f.last || number+1 < f.kept[0].number {
		state := &taplinev1.WatchPresenceResponse{Presence: f.kept[n-1].change.GetPresence()}
		if f.waits.GetAnswerBy().AsTime().After(time.Now()) {
			state.Notice = f.waits
		}
		return []event{{f.last, state}}, f.wake
	}
	skip := n - int(f.last-number) //nolint:gosec // at most keepEvents
	return append([]event(nil), f.kept[skip:]...), f.wake
}

// id is the number as a page sees it.
func (f *feed) id(number uint64) string { return fmt.Sprintf("%s-%d", f.boot, number) }

// number reads an ID back; 0 for those of another run, and for all else.
func (f *feed) number(id string) uint64 {
	boot, digits, _ := strings.Cut(id, "-")
	if boot != f.boot {
		return 0
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
