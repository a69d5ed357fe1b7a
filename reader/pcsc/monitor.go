//go:build cgo || windows

package pcsc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/ebfe/scard"

	"tapline/reader"
)

// breather is the pause after the service contradicts itself about which readers there are: it is in the middle of a change.
const breather = 30 * time.Millisecond

// mostContradictions in a row are taken for a change; more, for a broken context.
const mostContradictions = 20

// monitor is the state of a running source. Owned by one goroutine.
type monitor struct {
	cfg   Config
	use   selection
	push  func(reader.Event)
	slots map[reader.Name]*slot

	contradictions int
	alert          time.Time // until when readers are listed often
}

// Some services (pcscd 1.9.9) do not report a reader that comes between the listing and the wait. One that went may be on its way back, so for
// a while after a change the readers are listed often.
const (
	alertFor  = 3 * time.Second
	alertWait = 100 * time.Millisecond
)

// turn lists the readers, waits once for changes and tells of them. An error means that the context is of no more use.
func (m *monitor) turn(ctx context.Context, svc service, waiting *atomic.Bool) error {
	all, err := svc.readers()
	if err != nil {
		return fmt.Errorf("list readers: %w", err)
	}
	m.adopt(m.use.of(all))
	asked, limit := m.ask()
	waiting.Store(true)
	reports, err := svc.wait(asked, len(all), limit)
	waiting.Store(false)
	at := time.Now()
	switch {
	case ctx.Err() != nil, errors.Is(err, scard.ErrCancelled):
		return nil
	case errors.Is(err, scard.ErrUnknownReader):
		return m.contradiction(ctx, err) // a reader went between list and wait
	case err != nil:
		return fmt.Errorf("wait for readers: %w", err)
	}
	return m.tell(ctx, svc, reports, at)
}

// adopt takes in readers that are new and lets go of those that are not there any more.
func (m *monitor) adopt(names []reader.Name) {
	for name := range m.slots {
		if !slices.Contains(names, name) {
			m.drop(name, reader.ReaderGone)
		}
	}
	for _, name := range names {
		if m.slots[name] == nil {
			m.slots[name] = &slot{since: time.Now()}
			m.alert = time.Now().Add(alertFor)
		}
	}
}

// ask returns the states to wait for changes from, and for how long at most.
func (m *monitor) ask() ([]report, time.Duration) {
	var asked []report
	limit, now := m.cfg.Wait, time.Now()
	if now.Before(m.alert) {
		limit = min(limit, alertWait)
	}
	for name, s := range m.slots {
		asked = append(asked, report{name: name, state: s.feedback()})
		if !s.settled {
			limit = min(limit, s.settleIn(now, m.cfg.Settle))
		}
	}
	return asked, limit
}

// tell turns reports into events.
func (m *monitor) tell(ctx context.Context, svc service, reports []report, at time.Time) error {
	if len(reports) == 0 {
		for _, s := range m.slots {
			s.quiet()
		}
	}
	unusable := false
	for _, r := range reports {
		for _, c := range m.slots[r.name].report(r.state) {
			unusable = unusable || c == broken
			if err := m.change(ctx, svc, c, r, at); err != nil {
				return err
			}
		}
	}
	for name, s := range m.slots {
		for range s.settle(at, m.cfg.Settle) {
			m.push(reader.Event{Kind: reader.Attached, Reader: name, At: at, Presence: true})
		}
	}
	if unusable {
		return m.contradiction(ctx, scard.ErrReaderUnavailable)
	}
	m.contradictions = 0
	return nil
}

func (m *monitor) change(ctx context.Context, svc service, c change, r report, at time.Time) error {
	s := m.slots[r.name]
	switch c {
	case left:
		m.push(reader.Event{Kind: reader.Left, Reader: r.name, Badge: s.badge, At: at})
		s.badge = reader.Badge{}
	case missed:
		m.unreadable(r.name, reader.TooQuick, at)
	case mute:
		m.unreadable(r.name, reader.Mute, at)
	case broken:
		m.drop(r.name, reader.ReaderGone)
	case arrived:
		return m.read(ctx, svc, r, at)
	case attached: // told by tell, when the slot has settled
	}
	return nil
}

// read reads the card that was just laid down. The card's faults become an event; an error is the service's.
func (m *monitor) read(ctx context.Context, svc service, r report, at time.Time) error {
	out, err := m.tryToRead(ctx, svc, r)
	if err != nil {
		m.unreadable(r.name, reader.ServiceGone, at)
		return fmt.Errorf("read card: %w", err)
	}
	if out.reason != "" {
		m.unreadable(r.name, out.reason, at)
		return nil
	}
	s := m.slots[r.name]
	s.tapped, s.badge = true, out.badge
	m.push(reader.Event{Kind: reader.Tapped, Reader: r.name, Badge: out.badge, At: at})
	return nil
}

// tryToRead tries until it works, the fault is a lasting one, or BusyFor is over.
func (m *monitor) tryToRead(ctx context.Context, svc service, r report) (outcome, error) {
	pause := 5 * time.Millisecond
	for deadline := time.Now().Add(m.cfg.BusyFor); ; pause = min(2*pause, 50*time.Millisecond) {
		out, err := svc.uid(r.name, r.atr)
		if err != nil {
			var ok bool
			if out, ok = cardFault(err); !ok {
				return outcome{}, err
			}
		}
		if !out.again || ctx.Err() != nil || time.Now().Add(pause).After(deadline) {
			return out, nil
		}
		rest(ctx, pause)
	}
}

func (m *monitor) unreadable(name reader.Name, why reader.Reason, at time.Time) {
	m.push(reader.Event{Kind: reader.Unreadable, Reader: name, Reason: why, At: at})
}

// drop forgets a reader, and says so if it had been announced.
func (m *monitor) drop(name reader.Name, why reader.Reason) {
	if m.slots[name].settled {
		m.push(reader.Event{Kind: reader.Detached, Reader: name, Reason: why, At: time.Now()})
	}
	delete(m.slots, name)
	m.alert = time.Now().Add(alertFor)
}

// lose forgets all readers: the service went away, and what lies on them when it returns is no tap.
func (m *monitor) lose(why reader.Reason) {
	for name := range m.slots {
		m.drop(name, why)
	}
	m.contradictions = 0
}

// contradiction lets the service finish a change, or gives up on the context.
func (m *monitor) contradiction(ctx context.Context, err error) error {
	if m.contradictions++; m.contradictions > mostContradictions {
		return err
	}
	rest(ctx, breather)
	return nil
}
