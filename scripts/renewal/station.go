package renewal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	agent "tapline/agent/identity"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// story is what a station is in the middle of.
type story int

const (
	quiet    story = iota // nothing but renewals
	asleep                // switched off
	doubled               // there is a clone of it, or its disk was put back; nobody has noticed yet
	caught                // it is quarantined
	released              // an administrator has picked it
	haunted               // the clone is switched on again
)

// station is one station and what happens to it. It is honest; its clone, if there is one, is not.
type station struct {
	*fleet
	m       *machine
	offset  time.Duration // of its clock
	renewed time.Time     // when it got its newest certificate
	failing time.Time     // since when it tries in vain; zero when it does not
	tries   int
	said    error // why it tries in vain, when it was not only that a call was lost
	story   story
	slept   time.Time // when it was switched off
	approve bool      // an administrator approved its return
	clone   *clone
	diary   []string     // the last of what happened, for the story of a broken law
	putBack func() error // puts a snapshot of the disk back; nil when there is none
	snapped time.Time    // when it was made
}

func (s *station) clock() time.Time { return s.at.Add(s.offset) }

// pages is how much of the diary is kept.
const pages = 12

// note writes into the diary.
func (s *station) note(who string, m *machine, err error) {
	said := "renewed"
	if err != nil {
		said, _, _ = strings.Cut(err.Error(), "\n")
	}
	line := fmt.Sprintf("%s %s (%d, clock off by %s, brokers' by %s) at number %d: %s", s.at.Format(time.DateTime), who, s.story, s.offset, s.off,
		m.identity.Current().JoinSequence, said)
	s.diary = append(s.diary, line)
	s.diary = s.diary[max(0, len(s.diary)-pages):]
}

// tells is a broken law with the diary.
func (s *station) tells(format string, args ...any) {
	s.breaks("%s: %w\n  %s", s.m.id, fmt.Errorf(format, args...), strings.Join(s.diary, "\n  "))
}

// act lets a station renew, and plans what it does next.
func (s *station) act(ctx context.Context) error {
	if s.story == asleep || s.odds(50) { // it starts anew
		if err := s.m.start(); err != nil {
			return err
		}
	}
	if s.putBack != nil && s.story == quiet && s.renewed.After(s.snapped) {
		return s.restoreDisk(ctx)
	}
	expired := !s.at.Before(s.renewed.Add(7 * day))
	err := s.m.identity.Renew(ctx)
	s.note("station", s.m, err)
	if found := s.lookForClone(ctx); found != nil {
		return found
	}
	if err == nil {
		return s.succeed(ctx, expired)
	}
	return s.fail(ctx, err)
}

func (s *station) succeed(ctx context.Context, expired bool) error {
	s.result.Renewals++
	if drift := s.m.identity.Now().Sub(s.site.now()).Abs(); drift > time.Minute {
		s.tells("it renewed and is %s off the brokers' time", drift)
	}
	if s.story == asleep {
		if expired {
			s.wokeUp()
		}
		s.story = quiet
	}
	s.renewed, s.failing, s.tries, s.said, s.approve = s.at, time.Time{}, 0, nil, false
	if err := s.site.heard(ctx, s.m.id, s.m.identity.Current().Trust); err != nil {
		return err
	}
	switch s.story {
	case released:
		return s.haunt(ctx)
	case quiet:
		return s.plan(ctx)
	}
	s.in(s.spread(every), s.act)
	return nil
}

func (s *station) wokeUp() {
	s.result.Sleeps++
	if s.approve {
		s.result.Approvals++
		return
	}
	s.result.Recovered++
	s.result.AsleepDays = max(s.result.AsleepDays, s.at.Sub(s.slept).Hours()/24)
}

func (s *station) fail(ctx context.Context, err error) error {
	if s.tries++; wire.KindOf(err) != wire.Unavailable || s.said == nil || wire.OutOfTime(err) {
		s.said = err
	}
	if s.story == caught {
		return nil // the administrator's step comes next
	}
	if errors.Is(err, agent.ErrApproval) && s.story == asleep && s.at.Sub(s.renewed) > 187*day && s.off == 0 {
		s.approve = true
		if err := s.site.approve(ctx, s.m.id); err != nil {
			return err
		}
	}
	if s.failing.IsZero() {
		s.failing = s.at
	}
	if since := s.failing; s.at.Sub(since) > patience && !s.wrong() {
		s.result.FalseLockouts++
		s.tells("it tries since %s in vain, %d times: %w", since.Format(time.DateTime), s.tries, s.said)
		return nil
	}
	wait := min(15*time.Minute, time.Minute<<min(s.tries, 4))
	if refusedForGood(err) {
		wait = 15 * time.Minute
	}
	if s.off != 0 {
		wait = time.Hour
	}
	s.in(s.spread(wait), s.act)
	return nil
}

// plan chooses what happens to a station after a renewal.
func (s *station) plan(ctx context.Context) error {
	if s.offset != 0 && s.odds(300) {
		s.offset = 0 // somebody set the clock
	}
	if s.last {
		return nil
	}
	s.in(s.next(), s.act)
	if s.o.Quiet || s.wrong() || s.upkeep.kept {
		return nil
	}
	switch {
	case s.odds(15):
		return s.makeClone()
	case s.odds(6):
		var err error
		s.putBack, err = s.m.snapshot()
		s.snapped = s.at
		return err
	case s.offset == 0 && s.odds(10):
		s.result.WrongClocks++
		const year = 365 * day
		offs := []time.Duration{-20 * year, -year, -3 * day, -3 * time.Hour, 3 * day, 40 * day, 9 * year}
		s.offset = offs[s.chance.IntN(len(offs))]
	}
	return nil
}

// next is when a station renews next: at half life, unless it is switched off meanwhile.
func (s *station) next() time.Duration {
	if s.o.Quiet || !s.odds(30) {
		return s.spread(every)
	}
	s.story, s.slept = asleep, s.at
	if s.result.Sleeps == 0 {
		return sleepMost
	}
	switch n := s.chance.IntN(10); {
	case n < 5:
		return s.between(day, 12*day)
	case n < 8:
		return s.between(12*day, 90*day)
	case s.odds(100):
		return sleepLong
	}
	return s.between(90*day, sleepMost)
}

// quarantined asks the store.
func (s *station) quarantined(ctx context.Context) (bool, error) {
	state, err := s.site.state(ctx, s.m.id)
	return state == taplinev1.StationState_STATION_STATE_QUARANTINED, err
}
