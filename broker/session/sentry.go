package session

import (
	"context"
	"errors"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"go.uber.org/zap"

	"tapline/broker/alarm"
	"tapline/broker/policy"
	"tapline/broker/rulebook"
	"tapline/broker/store"
)

const (
	// LookEvery is how often the sentry looks whether anything has changed, and so how often at most it goes through all sessions.
	LookEvery = time.Second
	// Rounds is how often it goes through them although nothing has changed: shifts end and certifications lapse by themselves.
	Rounds = time.Minute
	// atOnce is how many leases are looked at in one view of the store.
	atOnce = 200
)

// Sentry ends sessions that the policy does not allow any more: after a change of the policy or the directory within seconds, after the lapse of a
// certification within a minute. Run it once. Several brokers on one store may do so side by side.
//
// A rule that errs ends nothing here: it would empty the plant within a second. It raises its alarm, and denies the next tap and the next extension.
type Sentry struct {
	Store *store.Store
	Rules *rulebook.Book
	Now   func() time.Time
	// Ended is called after sessions were ended, so that stations hear of it at once.
	Ended func()
	Log   *zap.Logger

	generation uint64 // of the directory at the last round
	round      time.Time
	trouble    string // of the rulebook, as it was last alarmed
}

// Run looks until ctx ends.
func (s *Sentry) Run(ctx context.Context) error {
	tick := time.NewTicker(LookEvery)
	defer tick.Stop()
	for {
		if _, err := s.Look(ctx); err != nil && ctx.Err() == nil {
			s.Log.Error("sessions could not be held against the policy", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Look goes through all sessions if anything has changed, or it is time to. It gives the number of those that it ended.
func (s *Sentry) Look(ctx context.Context) (ended int, err error) {
	var generation uint64
	err = s.Store.View(ctx, func(tx *store.Tx) (err error) {
		if generation, err = tx.Generation(); err == nil {
			_, err = s.Rules.InForce(tx)
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	if err := s.tell(ctx); err != nil {
		return 0, err
	}
	now := s.Now()
	if since := now.Sub(s.round); generation == s.generation && since >= 0 && since < Rounds {
		return 0, nil
	}
	ended, err = s.goRound(ctx)
	if err == nil {
		s.generation, s.round = generation, now
	}
	if ended > 0 {
		s.Ended()
	}
	return ended, err
}

// tell raises an alarm when another policy set decides than the one in force.
func (s *Sentry) tell(ctx context.Context) error {
	trouble := s.Rules.Trouble()
	if trouble == s.trouble {
		return nil
	}
	if trouble != "" {
		err := s.Store.Update(ctx, func(tx *store.Tx) error {
			return alarm.Raise(tx, alarm.PolicyError, "", s.Now(), "%s", trouble)
		})
		if err != nil {
			return err
		}
	}
	s.trouble = trouble
	return nil
}

// goRound asks the policy about each session, in pages.
func (s *Sentry) goRound(ctx context.Context) (ended int, err error) {
	for page := (store.Page{Size: atOnce}); ; {
		var leases, over []store.Lease
		err := s.Store.View(ctx, func(tx *store.Tx) (err error) {
			if leases, err = tx.Leases("", page); err != nil {
				return err
			}
			over, err = s.over(tx, leases)
			return err
		})
		if err != nil {
			return ended, err
		}
		if len(over) > 0 {
			n, err := s.end(ctx, over)
			if ended += n; err != nil {
				return ended, err
			}
		}
		if len(leases) < page.Size {
			return ended, nil
		}
		page.After = leases[len(leases)-1].ID
	}
}

// over are the leases whose sessions may not go on.
func (s *Sentry) over(tx *store.Tx, leases []store.Lease) ([]store.Lease, error) {
	var over []store.Lease
	for _, l := range leases {
		d, err := s.ask(tx, l)
		if err != nil {
			return nil, err
		}
		if !d.Allowed {
			over = append(over, l)
		}
	}
	return over, nil
}

// ask asks the policy about one session. One whose time is up is not asked about.
func (s *Sentry) ask(tx *store.Tx, l store.Lease) (policy.Decision, error) {
	now := s.Now()
	if !now.Before(l.ExpiresAt) || !l.EndedAt.IsZero() {
		return policy.Decision{Allowed: true}, nil
	}
	p, err := tx.Person(l.Person)
	if errors.Is(err, store.ErrNotFound) {
		return policy.Decision{Refusal: taplinev1.RefusalCause_REFUSAL_CAUSE_PERSON_INACTIVE}, nil
	}
	if err != nil {
		return policy.Decision{}, err
	}
	at, err := tx.Station(l.Station)
	if errors.Is(err, store.ErrNotFound) {
		return policy.Decision{Allowed: true}, nil // deleting a station is its own act
	}
	if err != nil {
		return policy.Decision{}, err
	}
	d, _, err := GoesOn(tx, s.Rules, l, p, at.Entry, now)
	return d, err
}

// end ends leases, having asked again: the update sees the newest state. Errors of rules are alarms and end nothing.
func (s *Sentry) end(ctx context.Context, over []store.Lease) (ended int, err error) {
	err = s.Store.Update(ctx, func(tx *store.Tx) error {
		ended = 0
		for _, l := range over {
			l, err := tx.LeaseByID(l.ID)
			if err != nil {
				return err
			}
			d, err := s.ask(tx, l)
			if err != nil {
				return err
			}
			if len(d.Errors) > 0 {
				if _, err := Message(tx, d, l.Station, s.Now()); err != nil {
					return err
				}
				continue
			}
			if d.Allowed {
				continue
			}
			if err := tx.EndLease(l.ID, CauseWord(taplinev1.EndCause_END_CAUSE_REVOKED), s.Now()); err != nil {
				return err
			}
			s.Log.Info("session ended: the policy does not allow it any more", zap.String("session", string(l.Session)), zap.String("station", string(l.Station)),
				zap.String("person", string(l.Person)), zap.String("cause", policy.RefusalWord(d.Refusal)), zap.Strings("rules", d.Rules),
				zap.String("policy", d.Version))
			ended++
		}
		return nil
	})
	return ended, err
}
