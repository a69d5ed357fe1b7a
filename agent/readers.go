package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.uber.org/zap"

	"tapline/agent/session"
	"tapline/reader"
	"tapline/reader/pcsc"
)

// named is a reader source with what it was made from: as long as that stays the same, it stays.
type named struct {
	key    string
	source reader.Source
}

// openSources makes the readers that the configuration names. One that cannot be made is a trouble, never the end.
func (a *Agent) openSources() []named {
	list, err := a.sourcesOf(a.cfg, nil)
	if err != nil {
		a.log.Error("a reader of the configuration is not used", zap.Error(err))
	}
	return list
}

// sourcesOf makes the sources that cfg names, but for those that run already, of which it gives the key alone. The error tells of those that cannot be
// made.
func (a *Agent) sourcesOf(cfg Config, runs []string) (list []named, err error) {
	add := func(key string, open func() (reader.Source, error)) {
		if slices.Contains(runs, key) {
			list = append(list, named{key: key})
			return
		}
		s, fault := open()
		if fault != nil {
			err = errors.Join(err, fault)
			return
		}
		list = append(list, named{key, s})
	}
	for i, s := range a.opts.Sources {
		add(fmt.Sprint("given ", i), func() (reader.Source, error) { return s, nil })
	}
	if p := cfg.Readers.PCSC; p.Enabled && a.opts.Sources == nil {
		add(fmt.Sprintf("pcsc %q %q", p.Match, p.Ignore), func() (reader.Source, error) {
			s, err := pcsc.New(pcsc.Config{Include: p.Match, Exclude: p.Ignore, Log: a.log.Named("pcsc")})
			if err != nil {
				return nil, fmt.Errorf("readers.pcsc: %w", err)
			}
			return s, nil
		})
	}
	for i, s := range cfg.Readers.Serial {
		add(fmt.Sprintf("serial %+v", s), func() (reader.Source, error) {
			source, err := s.source(a.log.Named("serial"))
			if err != nil {
				return nil, fmt.Errorf("readers.serial[%d]: %w", i, err)
			}
			return source, nil
		})
	}
	return list, err
}

// rack runs the sources, and others when the configuration says so.
type rack struct {
	first   []named
	changes chan []named // holds one
	keys    []string     // of those that run or are about to; guarded by whoever reloads
}

func newRack(list []named) *rack {
	return &rack{first: list, changes: make(chan []named, 1), keys: keysOf(list)}
}

func keysOf(list []named) (keys []string) {
	for _, n := range list {
		keys = append(keys, n.key)
	}
	return keys
}

// change has those of list run, and no others. Calls must not overlap. It waits for an earlier change to be taken up, until ctx ends.
func (r *rack) change(ctx context.Context, list []named) error {
	select {
	case r.changes <- list:
		r.keys = keysOf(list)
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run runs each source by start until ctx ends. start returns when its own context ends, with the readers that the source had, and whether each still
// worked; removed is told them when the source was taken away.
func (r *rack) run(ctx context.Context, start func(context.Context, reader.Source) map[reader.Name]bool, removed func(map[reader.Name]bool)) {
	type running struct {
		stop context.CancelFunc
		done sync.WaitGroup
		had  map[reader.Name]bool
	}
	all := map[string]*running{}
	begin := func(list []named) {
		for _, n := range list {
			if all[n.key] != nil || n.source == nil {
				continue
			}
			one := &running{}
			own, stop := context.WithCancel(ctx)
			one.stop = stop
			one.done.Go(func() { one.had = start(own, n.source) })
			all[n.key] = one
		}
	}
	begin(r.first)
	for {
		select {
		case list := <-r.changes:
			wanted := keysOf(list)
			for key, one := range all {
				if !slices.Contains(wanted, key) {
					one.stop()
					one.done.Wait()
					removed(one.had)
					delete(all, key)
				}
			}
			begin(list)
		case <-ctx.Done():
			for _, one := range all {
				one.stop()
				one.done.Wait()
			}
			return
		}
	}
}

// runSource runs one source until ctx ends.
func (a *Agent) runSource(ctx context.Context, source reader.Source) map[reader.Name]bool {
	had := map[reader.Name]bool{}
	a.keepRunning(ctx, source, func(e reader.Event) {
		had[e.Reader] = e.Kind != reader.Detached && (had[e.Reader] || e.Kind == reader.Attached)
		a.emit(ctx, e)
	})
	return had
}

// removed says that readers are no longer used.
func (a *Agent) removed(ctx context.Context, had map[reader.Name]bool) {
	for _, name := range slices.Sorted(maps.Keys(had)) {
		a.desk.remove(name)
		if had[name] {
			_ = a.loop.post(ctx, input{event: session.Removed{Reader: name}}) // a loop that ended needs no word of it
		}
	}
}

// keepRunning runs one source until ctx ends. A source does not end by itself; if one does, it is started again, with a growing pause.
func (a *Agent) keepRunning(ctx context.Context, source reader.Source, emit func(reader.Event)) {
	pause := backoff.NewExponentialBackOff()
	pause.MaxInterval = 30 * time.Second
	for ctx.Err() == nil {
		err := source.Run(ctx, emit)
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

// remove forgets a reader.
func (d *desk) remove(name reader.Name) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.readers, name)
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
