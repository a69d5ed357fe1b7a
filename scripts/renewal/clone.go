package renewal

import (
	"context"
	"errors"
	"fmt"
	"time"

	agent "tapline/agent/identity"
)

// clone is a second machine with a copy of a station's disk; its machine is nil when it is the station's own disk that was put back.
type clone struct {
	m     *machine
	born  time.Time
	tries int // since it was switched on again
}

// caughtWithin is the longest that a clone may go on unseen: each of the two renews within half a life and some tries.
const caughtWithin = 8 * day

// makeClone copies a station's disk and starts the copy. From now on both renew.
func (s *station) makeClone() error {
	if s.story != quiet || s.putBack != nil {
		return nil
	}
	s.result.Clones++
	m, err := s.m.cloned(s.result.Clones)
	if err != nil {
		return err
	}
	s.clone, s.story = &clone{m: m, born: s.at}, doubled
	s.in(s.between(0, every), s.cloneActs)
	return nil
}

// restoreDisk puts an old snapshot of the station's disk back.
func (s *station) restoreDisk(ctx context.Context) error {
	s.result.Clones++
	s.clone, s.story = &clone{born: s.at}, doubled
	back := s.putBack
	s.putBack = nil
	if err := back(); err != nil {
		return err
	}
	return s.act(ctx)
}

func (s *station) cloneActs(ctx context.Context) error {
	if s.clone == nil || s.story == caught || s.story == released {
		return nil
	}
	err := s.clone.m.identity.Renew(ctx)
	s.note("clone", s.clone.m, err)
	if s.story == haunted {
		return s.haunting(ctx, err)
	}
	if found := s.lookForClone(ctx); found != nil || s.story != doubled {
		return found
	}
	wait := time.Hour
	if err == nil {
		wait = s.spread(every)
	}
	s.in(wait, s.cloneActs)
	return nil
}

// lookForClone looks whether the station is quarantined, and whether that is right.
func (s *station) lookForClone(ctx context.Context) error {
	yes, err := s.quarantined(ctx)
	if err != nil {
		return err
	}
	switch {
	case yes && s.story == doubled:
		s.result.ClonesCaught++
		s.result.CaughtWithin = max(s.result.CaughtWithin, s.at.Sub(s.clone.born).Hours()/24)
		s.story = caught
		s.in(s.between(time.Hour, 2*day), s.administratorComes)
	case yes && s.story != caught:
		s.result.FalseLockouts++
		s.tells("it is quarantined and there is no clone of it")
	case !yes && s.story == doubled && s.at.Sub(s.clone.born) > caughtWithin && !s.wrong():
		s.tells("it has had a clone since %s, and nobody noticed", s.clone.born.Format(time.DateTime))
	}
	return nil
}

// administratorComes switches the clone off and picks the real one by the number that it shows.
func (s *station) administratorComes(ctx context.Context) error {
	if s.off != 0 { // not while the brokers' clock is wrong: first things first
		s.in(day, s.administratorComes)
		return nil
	}
	if err := s.site.release(ctx, s.m.id, s.m.identity.Current().JoinSequence); err != nil {
		return fmt.Errorf("release %s: %w", s.m.id, err)
	}
	s.story, s.failing, s.tries = released, time.Time{}, 0
	s.in(10*time.Minute, s.act)
	return nil
}

// haunt switches the clone on again, after the station has renewed.
func (s *station) haunt(context.Context) error {
	s.in(s.spread(every), s.act)
	if s.clone.m == nil {
		s.clone, s.story = nil, quiet
		return nil
	}
	s.story = haunted
	s.in(time.Hour, s.cloneActs)
	return nil
}

// haunting holds that a clone that was given up gets nothing and harms nobody.
func (s *station) haunting(ctx context.Context, err error) error {
	if err == nil {
		s.tells("the clone renewed after it was given up")
	}
	if errors.Is(err, agent.ErrClone) {
		s.clone.tries++
	}
	if found := s.lookForClone(ctx); found != nil {
		return found
	}
	if s.clone.tries >= 3 {
		s.clone, s.story = nil, quiet
		return nil
	}
	s.in(time.Hour, s.cloneActs)
	return nil
}
