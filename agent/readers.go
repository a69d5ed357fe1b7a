package agent

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.uber.org/zap"

	"tapline/reader"
	"tapline/reader/pcsc"
)

// openSources makes the readers that the configuration names. One that cannot be made is a trouble, never the end.
func (a *Agent) openSources() []reader.Source {
	var sources []reader.Source
	if p := a.cfg.Readers.PCSC; p.Enabled {
		s, err := pcsc.New(pcsc.Config{Include: p.Match, Exclude: p.Ignore, Log: a.log.Named("pcsc")})
		if err != nil {
			a.log.Error("no PC/SC readers", zap.Error(err))
		} else {
			sources = append(sources, s)
		}
	}
	return append(sources, a.serialSources()...)
}

// runSource runs one source until ctx ends. A source does not end by itself; if one does, it is started again, with a growing pause.
func (a *Agent) runSource(ctx context.Context, source reader.Source) {
	pause := backoff.NewExponentialBackOff()
	pause.MaxInterval = 30 * time.Second
	for ctx.Err() == nil {
		err := source.Run(ctx, func(e reader.Event) { a.emit(ctx, e) })
		if ctx.Err() != nil {
			return
		}
		a.log.Error("a reader source ended", zap.Error(errors.Join(err, errSourceEnded)))
		timer := time.NewTimer(pause.NextBackOff())
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
	}
}

var errSourceEnded = errors.New("it is started again")

// emit notes how the reader is and hands the event to the station.
func (a *Agent) emit(ctx context.Context, e reader.Event) {
	a.loop.hear(ctx, e, a.desk.note(e))
}

// desk knows the readers of a station.
type desk struct {
	mu      sync.Mutex // guards readers
	readers map[reader.Name]*readerState
}

type readerState struct {
	attached bool
	presence bool // it reports when a badge leaves
	lastTap  time.Time
	reason   reader.Reason
}

// note takes in what a reader says, and reports whether it can see a badge leave.
func (d *desk) note(e reader.Event) (presence bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.readers[e.Reader]
	if s == nil {
		s = &readerState{}
		d.readers[e.Reader] = s
	}
	switch e.Kind {
	case reader.Attached:
		*s = readerState{attached: true, presence: e.Presence, lastTap: s.lastTap}
	case reader.Detached:
		s.attached, s.reason = false, e.Reason
	case reader.Tapped:
		s.lastTap = e.At
	}
	return s.presence
}
