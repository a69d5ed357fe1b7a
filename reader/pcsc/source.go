//go:build cgo || windows

package pcsc

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.uber.org/zap"

	"tapline/reader"
)

// How long to pause before a dead service is tried again.
const (
	firstPause   = 50 * time.Millisecond
	longestPause = 3 * time.Second
)

// cancelEvery is how often a wait is cancelled until it ends: a cancel that comes just before a wait is lost.
const cancelEvery = 5 * time.Millisecond

// Source watches the PC/SC readers of this machine. Run at most one at a time in a process.
type Source struct {
	cfg Config
	use selection
}

// New makes a source; it touches nothing until Run. It returns ErrNotBuilt in builds without PC/SC support.
func New(cfg Config) (*Source, error) {
	return &Source{cfg: cfg.withDefaults(), use: newSelection(cfg)}, nil
}

// Run emits events until ctx ends and returns ctx's cause. A machine without a PC/SC service or without readers is no error: they may come.
func (s *Source) Run(ctx context.Context, emit func(reader.Event)) error {
	return reader.Relay(ctx, emit, func(ctx context.Context, push func(reader.Event)) error {
		m := &monitor{cfg: s.cfg, use: s.use, push: push, slots: map[reader.Name]*slot{}}
		m.run(ctx)
		return context.Cause(ctx)
	})
}

// run keeps a context with the service for as long as ctx lasts.
func (m *monitor) run(ctx context.Context) {
	pause := &backoff.ExponentialBackOff{
		InitialInterval: firstPause, RandomizationFactor: 0.2, Multiplier: 1.6, MaxInterval: longestPause,
	}
	pause.Reset()
	up := true // so that a service that is not there at the start is logged once
	for ctx.Err() == nil {
		svc, err := establish()
		if err == nil {
			err = m.serve(ctx, svc, func() {
				m.cfg.Log.Info("PC/SC service is there")
				up = true
				pause.Reset()
			})
		}
		if ctx.Err() != nil {
			return
		}
		if up {
			m.cfg.Log.Warn("PC/SC service is not usable, trying again", zap.Error(err))
			up = false
		}
		m.lose(reader.ServiceGone)
		rest(ctx, pause.NextBackOff())
	}
}

// serve watches until the service fails or ctx ends. works is called once, when the service has answered.
func (m *monitor) serve(ctx context.Context, svc service, works func()) error {
	defer svc.release()
	var waiting atomic.Bool
	var canceller sync.WaitGroup
	ended := make(chan struct{})
	canceller.Go(func() { cancelWaits(ctx, svc, &waiting, ended) })
	defer canceller.Wait()
	defer close(ended)
	for first := true; ctx.Err() == nil; first = false {
		if err := m.turn(ctx, svc, &waiting); err != nil {
			return err
		}
		if first {
			works()
		}
	}
	return ctx.Err()
}

// cancelWaits gets the monitor out of its wait when ctx ends.
func cancelWaits(ctx context.Context, svc service, waiting *atomic.Bool, ended <-chan struct{}) {
	select {
	case <-ended:
		return
	case <-ctx.Done():
	}
	tick := time.NewTicker(cancelEvery)
	defer tick.Stop()
	for {
		if waiting.Load() {
			svc.cancel()
		}
		select {
		case <-ended:
			return
		case <-tick.C:
		}
	}
}

// rest waits for d or for ctx.
func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
