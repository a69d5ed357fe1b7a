package sync

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"tapline/broker/directory"
	"tapline/broker/ldap"
	"tapline/broker/office"
	"tapline/broker/roster"
	"tapline/broker/store"
	"tapline/proto/wire"
)

// Syncer keeps people as the directory has them. Make it with New.
type Syncer struct {
	Options
	client *ldap.Client

	turn  chan struct{} // holds one element while somebody synchronises
	wake  chan struct{} // something changed
	ready chan struct{} // there is a cookie to watch from

	mu      sync.Mutex // guards what follows
	asked   bool       // an administrator asked for a synchronisation by this broker
	last    State
	watched []byte // the cookie that a watch may begin with; nil while this broker does not synchronise
}

// Options are what a Syncer works with.
type Options struct {
	Config    Config
	Store     *store.Store
	Roster    roster.Writer
	Directory directory.Directory
	Log       *zap.Logger
	Now       func() time.Time
	// Lead says whether this one of the brokers on the store is to synchronise now.
	Lead func(context.Context) (bool, error)
}

// New checks the configuration. It speaks to no server.
func New(o Options) (*Syncer, error) {
	if err := errors.Join(o.Config.Check()...); err != nil {
		return nil, err
	}
	client, err := ldap.New(o.Config.Config)
	if err != nil {
		return nil, err
	}
	return &Syncer{Options: o, client: client, turn: make(chan struct{}, 1), wake: make(chan struct{}, 1), ready: make(chan struct{}, 1)}, nil
}

// Run synchronises until ctx ends.
func (s *Syncer) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.loop(ctx) })
	if !s.Config.NoWatch {
		g.Go(func() error { return s.watch(ctx) })
	}
	return g.Wait()
}

const (
	firstRetry = 2 * time.Second // after a failure; doubled up to the interval
	leadEvery  = 5 * time.Second
	idlest     = 2 * time.Second // how long a call that follows many idle ones waits
)

func (s *Syncer) loop(ctx context.Context) error {
	failures, idle := 0, 0
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-s.wake:
			// The server may call for what does not concern us, its own note of our last visit among it.
			if !waitFor(ctx, min(idlest, time.Millisecond<<min(idle, 20))) {
				return nil
			}
			idle++
		}
		lead, err := s.Lead(ctx)
		if asked := s.wasAsked(); err == nil && !lead && !asked {
			s.refresh(ctx)
			s.watchFrom(nil)
			timer.Reset(leadEvery)
			continue
		}
		if err == nil {
			var changed bool
			if changed, err = s.turnOf(ctx); changed {
				idle = 0
			}
		}
		every := s.interval(s.State().Kind)
		var held *HeldError
		switch {
		case err == nil, errors.As(err, &held):
			failures = 0
			timer.Reset(every)
		case ctx.Err() != nil:
			return nil
		default:
			timer.Reset(min(every, firstRetry<<min(failures, 10)))
			failures++
		}
	}
}

// turnOf does one synchronisation of the loop, and reports whether anything came of it.
func (s *Syncer) turnOf(ctx context.Context) (bool, error) {
	report, err := s.do(ctx, how{})
	var held *HeldError
	switch {
	case err == nil:
	case errors.As(err, &held):
		s.Log.Warn("the synchronisation is held by its brake", zap.String("why", held.Why))
	case errors.Is(err, store.ErrRevision), ctx.Err() != nil: // somebody else did it
	default:
		s.Log.Error("people could not be synchronised", zap.Error(err))
		if err := s.fail(ctx, err); err != nil && ctx.Err() == nil {
			s.Log.Error("the failure could not be noted", zap.Error(err))
		}
		s.refresh(ctx)
	}
	return err == nil && len(report.Outcome.Changes) > 0, err
}

// do takes a turn.
func (s *Syncer) do(ctx context.Context, h how) (Report, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return Report{}, fmt.Errorf("wait for a synchronisation that runs: %w", ctx.Err())
	}
	begun := time.Now()
	report, err := s.once(ctx, h)
	if h.dry {
		return report, err
	}
	s.refresh(ctx)
	if err != nil {
		return report, err
	}
	o := report.Outcome
	if report.Full || len(o.Changes) > 0 {
		s.Log.Info("people are as the directory has them", zap.Bool("full", report.Full), zap.Int("added", o.Added), zap.Int("changed", o.Changed),
			zap.Int("left", o.Left), zap.Int("unchanged", o.Unchanged), zap.Int("faults", report.State.FaultCount), zap.Duration("took", time.Since(begun)))
	}
	return report, nil
}

// refresh reads the state that the store has.
func (s *Syncer) refresh(ctx context.Context) {
	var i image
	err := s.Store.View(ctx, func(tx *store.Tx) (err error) {
		i, err = readState(tx)
		return err
	})
	if err != nil {
		return
	}
	s.mu.Lock()
	s.last = i.state
	s.mu.Unlock()
	s.watchFrom(i.stored.Cookie)
}

// State is the state as this broker read it last.
func (s *Syncer) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// watchFrom says where a watch may begin; nil ends watching after the present one.
func (s *Syncer) watchFrom(cookie []byte) {
	s.mu.Lock()
	s.watched = cookie
	s.mu.Unlock()
	if cookie != nil {
		nudge(s.ready)
	}
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// watch holds a line on which the server calls when something changes. It only ever wakes the loop.
func (s *Syncer) watch(ctx context.Context) error {
	pause := firstRetry
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.ready:
		}
		s.mu.Lock()
		cookie := s.watched
		s.mu.Unlock()
		if len(cookie) == 0 {
			continue
		}
		begun := time.Now()
		err := s.watchOnce(ctx, cookie)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, errNoCalls) {
			s.Log.Info("the directory does not call when something changes; it is asked", zap.Duration("every", s.interval(s.State().Kind)))
			return nil
		}
		if time.Since(begun) > time.Minute {
			pause = firstRetry
		}
		s.Log.Warn("the directory's line for changes ended", zap.Error(err))
		if !waitFor(ctx, pause) {
			return nil
		}
		pause = min(2*pause, time.Minute)
		nudge(s.wake) // what changed meanwhile; it also says where to begin
		nudge(s.ready)
	}
}

var errNoCalls = errors.New("the server does not call")

func (s *Syncer) watchOnce(ctx context.Context, cookie []byte) error {
	session, err := s.client.Open(ctx)
	if err != nil {
		return err
	}
	defer session.Close()
	if !session.Facts().Watches() {
		return errNoCalls
	}
	r := &reader{session: session, mapper: mapper{cfg: s.Config, kind: session.Facts().Kind}}
	return session.Watch(ctx, r.base(), cookie, func() { nudge(s.wake) })
}

func waitFor(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Full does a full synchronisation for an administrator; dry only says what would change. Errors: of kind Precondition if the brake holds or the
// directory cannot be read, Stale if another broker synchronised meanwhile.
func (s *Syncer) Full(ctx context.Context, dry bool) (Report, error) {
	report, err := s.do(ctx, how{full: true, dry: dry})
	var held *HeldError
	switch {
	case err == nil:
		return report, nil
	case ctx.Err() != nil:
		return report, wire.E(wire.Deadline, "the synchronisation took too long")
	case errors.As(err, &held):
		return report, wire.E(wire.Precondition, "%w", err)
	case errors.Is(err, store.ErrRevision):
		return report, wire.E(wire.Stale, "another broker synchronised meanwhile: try again")
	}
	return report, wire.E(wire.Precondition, "the directory cannot be read: %s", line(err))
}

// Look reads the state from the store.
func (s *Syncer) Look(ctx context.Context) (State, error) {
	var i image
	err := s.Store.View(ctx, func(tx *store.Tx) (err error) {
		i, err = readState(tx)
		return err
	})
	return i.state, office.Translate(err)
}

// Accept lets a difference that the brake holds through, once. It is part of the update that records the act.
func (s *Syncer) Accept(tx *store.Tx, difference string) error {
	i, err := readState(tx)
	if err != nil {
		return err
	}
	switch {
	case i.state.Held == "":
		return wire.E(wire.Precondition, "difference: the brake holds nothing")
	case difference != i.state.Difference:
		return wire.E(wire.Stale, "difference: the brake holds %s now, look at it again", i.state.Difference)
	}
	state := i.state
	state.Accepted = difference
	return i.write(tx, state, i.stored.Cookie)
}

// Wake asks for a synchronisation now, by this broker.
func (s *Syncer) Wake() {
	s.mu.Lock()
	s.asked = true
	s.mu.Unlock()
	nudge(s.wake)
}

func (s *Syncer) wasAsked() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = false
	return asked
}

// Conditions are what of the synchronisation needs somebody's eye now.
func (s *Syncer) Conditions() []string {
	state, now := s.State(), s.Now()
	var all []string
	if since := state.FailingSince; !since.IsZero() && now.Sub(since) >= patience*s.interval(state.Kind) {
		all = append(all, fmt.Sprintf("people are not as the directory has them since %s: %s", since.UTC().Format(time.RFC3339), state.Fault))
	}
	if state.Held != "" {
		all = append(all, "the directory's changes are held: "+state.Held+" (tapctl sync status)")
	}
	if state.FaultCount > 0 {
		all = append(all, fmt.Sprintf("entries of the directory that are not taken as they are: %d (tapctl sync status)", state.FaultCount))
	}
	return append(append(all, s.Config.Warnings("ldap")...), state.Notes...)
}
