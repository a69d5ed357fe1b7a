package serial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.bug.st/serial"
	"go.uber.org/zap"

	"tapline/reader"
)

// How long to pause before a port that is not there is tried again.
const (
	firstPause   = 50 * time.Millisecond
	longestPause = 3 * time.Second
)

// Source reads badges from one serial port.
type Source struct {
	cfg  Config
	mode *serial.Mode
	dec  decoder
}

// New checks the configuration and returns all its faults at once; it opens nothing until Run.
func New(cfg Config) (*Source, error) {
	cfg = cfg.withDefaults()
	mode, dec, err := cfg.check()
	if err != nil {
		return nil, fmt.Errorf("serial reader %s: %w", cfg.Name, err)
	}
	return &Source{cfg: cfg, mode: mode, dec: dec}, nil
}

// Run emits events until ctx ends and returns ctx's cause. A port that is not there or goes away is tried again for ever.
func (s *Source) Run(ctx context.Context, emit func(reader.Event)) error {
	return reader.Relay(ctx, emit, func(ctx context.Context, push func(reader.Event)) error {
		s.watch(ctx, push)
		return context.Cause(ctx)
	})
}

// watch keeps the port open for as long as ctx lasts.
func (s *Source) watch(ctx context.Context, push func(reader.Event)) {
	pause := &backoff.ExponentialBackOff{
		InitialInterval: firstPause, RandomizationFactor: 0.2, Multiplier: 1.6, MaxInterval: longestPause,
	}
	pause.Reset()
	for told := false; ctx.Err() == nil; rest(ctx, pause.NextBackOff()) {
		err := s.session(ctx, push, func() {
			told = false
			pause.Reset()
		})
		if ctx.Err() != nil {
			return
		}
		if !told {
			told = true
			s.cfg.Log.Warn("serial reader is away, trying again", zap.String("port", s.cfg.Port), zap.Error(err))
			push(reader.Event{Kind: reader.Detached, Reader: s.cfg.Name, At: time.Now(), Reason: why(err)})
		}
	}
}

// session opens the port and reads it until it fails or ctx ends. opened is called once it is open.
func (s *Source) session(ctx context.Context, push func(reader.Event), opened func()) error {
	port, err := serial.Open(s.cfg.Port, s.mode)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer func() { _ = port.Close() }() // a second close does no harm
	var closer sync.WaitGroup
	ended := make(chan struct{})
	closer.Go(func() {
		select {
		case <-ctx.Done():
			_ = port.Close() // gets the reading out of its wait
		case <-ended:
		}
	})
	defer closer.Wait()
	defer close(ended)
	quiet := s.cfg.IdleFrame
	if quiet == 0 {
		quiet = staleFrame
	}
	if err := port.SetReadTimeout(quiet); err != nil {
		return fmt.Errorf("set timeout: %w", err)
	}
	_ = port.ResetInputBuffer() // what was sent before we listened is no tap
	opened()
	push(reader.Event{Kind: reader.Attached, Reader: s.cfg.Name, At: time.Now()})
	return s.read(port, push)
}

// read turns what comes over the line into events until reading fails.
func (s *Source) read(port io.Reader, push func(reader.Event)) error {
	f := framer{terminator: s.cfg.Terminator, longest: s.cfg.MaxLength}
	buf := make([]byte, 256)
	for {
		n, err := port.Read(buf)
		at := time.Now()
		for _, fr := range f.feed(buf[:n]) {
			push(s.event(fr, at))
		}
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if n > 0 || !f.begun() {
			continue
		}
		for _, fr := range f.end() { // the line went quiet in a frame
			fr.overlong = fr.overlong || s.cfg.IdleFrame == 0
			push(s.event(fr, at))
		}
	}
}

func (s *Source) event(fr frame, at time.Time) reader.Event {
	badge, ok := s.dec.badge(fr)
	if !ok {
		return reader.Event{Kind: reader.Unreadable, Reader: s.cfg.Name, At: at, Reason: reader.BadData}
	}
	return reader.Event{Kind: reader.Tapped, Reader: s.cfg.Name, At: at, Badge: badge}
}

func why(err error) reader.Reason {
	var port *serial.PortError
	switch {
	case errors.Is(err, fs.ErrPermission), errors.As(err, &port) && port.Code() == serial.PermissionDenied:
		return reader.NotPermitted
	case errors.As(err, &port) && port.Code() == serial.PortBusy:
		return reader.Busy
	}
	return reader.ReaderGone
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
