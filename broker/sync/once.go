package sync

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"tapline/broker/alarm"
	"tapline/broker/ldap"
	"tapline/broker/roster"
	"tapline/broker/store"
	"tapline/proto/record"
)

// method is how a synchronisation is called in records, and who does it.
const (
	method = "SyncDirectory"
	actor  = "ldap"
)

// Report is what one synchronisation did, or would do.
type Report struct {
	Full    bool
	Outcome roster.Outcome
	State   State
}

// how is how one synchronisation is done.
type how struct{ full, dry bool }

// once does one synchronisation: all of it or nothing. The caller holds turn.
func (s *Syncer) once(ctx context.Context, h how) (Report, error) {
	now := s.Now()
	var i image
	var sourced []record.PersonID
	err := s.Store.View(ctx, func(tx *store.Tx) (err error) {
		if i, err = readImage(tx); err != nil {
			return err
		}
		sourced, err = peopleOf(tx)
		return err
	})
	if err != nil {
		return Report{}, err
	}
	session, err := s.client.Open(ctx)
	if err != nil {
		return Report{State: i.state}, err
	}
	defer session.Close()
	r := &reader{session: session, now: now, mapper: mapper{cfg: s.Config, kind: session.Facts().Kind, directory: s.Directory}}
	n, err := s.read(ctx, r, i, h)
	if err != nil {
		return Report{State: i.state}, err
	}
	d := draftOf(r.mapper, n, i, sourced)
	return s.apply(ctx, r, i, n, d, h)
}

// read reads what is new, or everything.
func (s *Syncer) read(ctx context.Context, r *reader, i image, h how) (news, error) {
	due := s.Now().Sub(i.state.FullAt) >= s.fullInterval() || i.state.Sum != s.sum()
	if h.full || due || !r.delta() || len(i.stored.Cookie) == 0 {
		return r.everything(ctx, i.stored.Cookie)
	}
	n, err := r.since(ctx, i)
	if errors.Is(err, errFull) {
		s.Log.Info("the directory is read as a whole", zap.Error(err))
		return r.everything(ctx, i.stored.Cookie)
	}
	return n, err
}

// apply writes what is new, with the state, in one update.
func (s *Syncer) apply(ctx context.Context, r *reader, i image, n news, d draft, h how) (Report, error) {
	report := Report{Full: n.full, State: i.state}
	dry, err := s.Roster.Apply(ctx, d.listing, roster.Rules{DryRun: true, Brake: s.Config.brake()})
	if err != nil {
		return report, err
	}
	report.Outcome = dry
	d.conflicts(dry.Conflicts)
	if h.dry {
		report.State = s.next(r, i.state, n, d)
		return report, nil
	}
	// Asked again by the update: between the two somebody may have changed people, and what goes then was not accepted.
	accepted := func(changes []roster.Change) bool { return difference(changes) == i.state.Accepted }
	if dry.Held != "" && !accepted(dry.Changes) {
		return report, s.hold(ctx, i, dry)
	}
	state := s.next(r, i.state, n, d)
	other := state.tellFaults(texts(d, i, n))
	keep := func(tx *store.Tx) error {
		if err := d.write(tx, i); err != nil {
			return err
		}
		if other {
			if err := alarm.Raise(tx, alarm.SyncEntry, "", s.Now(), "entries of the directory that are not taken as they are: %d, the first: %s", state.FaultCount, state.Faults[0]); err != nil {
				return err
			}
		}
		return i.write(tx, state, n.cookie)
	}
	written := false
	report.Outcome, err = s.Roster.Apply(ctx, d.listing, roster.Rules{
		Brake: s.Config.brake(), Accept: accepted, Method: method, Actor: actor, Also: func(tx *store.Tx) error {
			written = true
			return keep(tx)
		},
	})
	if brake := (*roster.BrakeError)(nil); errors.As(err, &brake) {
		return report, s.hold(ctx, i, report.Outcome)
	}
	if err != nil {
		return report, err
	}
	if !written && (n.full || s.worthWriting(i, state, n.cookie, d)) {
		err = s.Store.Update(ctx, keep)
	}
	report.State = state
	return report, err
}

// worthWriting says whether a state that changed nothing is written: not each second only because time goes by.
func (s *Syncer) worthWriting(i image, now State, cookie []byte, d draft) bool {
	before := i.state
	aged := now.LastOK.Sub(before.LastOK) >= time.Minute
	before.LastOK, now.LastOK = time.Time{}, time.Time{}
	a, errA := json.Marshal(before)
	b, errB := json.Marshal(now)
	return aged || errA != nil || errB != nil || string(a) != string(b) || string(cookie) != string(i.stored.Cookie) || len(d.keep)+len(d.forget) > 0
}

// next is the state after a synchronisation that succeeds.
func (s *Syncer) next(r *reader, before State, n news, d draft) State {
	now := s.Now()
	state := before
	state.Server, state.Kind, state.Changes = r.session.Server(), string(r.session.Facts().Kind), learned(r.session.Facts(), s.Config, n.cookie)
	state.LastOK, state.FailingSince, state.Fault, state.Failures = now, time.Time{}, "", 0
	state.Held, state.Difference, state.Accepted = "", "", ""
	if n.full {
		state.FullAt, state.People, state.Sum = now, len(d.keep), s.sum()
		state.Referrals, state.Notes = n.referrals, n.notes
	} else {
		state.People = before.People + d.joined - len(d.forget)
	}
	return state
}

// texts are the faults of a state: all of them after everything was read, else the new ones and those of before, but for entries that were read anew.
func texts(d draft, i image, n news) []string {
	var all, anew []string
	for _, f := range d.faults {
		all = append(all, f.String())
	}
	if n.full {
		return all
	}
	for _, f := range n.found {
		anew = append(anew, f.person.At)
	}
	for _, key := range d.forget {
		anew = append(anew, i.known[key].Name)
	}
	for _, old := range i.state.Faults {
		if !slices.ContainsFunc(anew, func(dn string) bool { return strings.Contains(old, dn) }) {
			all = append(all, old)
		}
	}
	return all
}

// hold notes that the brake holds.
func (s *Syncer) hold(ctx context.Context, i image, o roster.Outcome) error {
	state := i.state
	held := &HeldError{Why: o.Held, Difference: difference(o.Changes)}
	state.Held, state.Difference = held.Why, held.Difference
	if state.Difference != i.state.Difference {
		state.Accepted = ""
		err := s.Store.Update(ctx, func(tx *store.Tx) error {
			if err := alarm.Raise(tx, alarm.SyncHeld, "", s.Now(), "the directory says that %s", held.Why); err != nil {
				return err
			}
			return i.write(tx, state, i.stored.Cookie)
		})
		if err != nil {
			return err
		}
	}
	return held
}

// HeldError says that the brake holds. Nothing was changed.
type HeldError struct{ Why, Difference string }

// Error says why, and what to do.
func (e *HeldError) Error() string {
	return fmt.Sprintf("the safety brake holds: %s; if that is meant: tapctl sync accept %s", e.Why, e.Difference)
}

// fail notes that a synchronisation failed, and raises an alarm once it has for too long.
func (s *Syncer) fail(ctx context.Context, cause error) error {
	return s.Store.Update(ctx, func(tx *store.Tx) error {
		i, err := readState(tx)
		if err != nil {
			return err
		}
		now, state := s.Now(), i.state
		if state.FailingSince.IsZero() {
			state.FailingSince = now
		}
		state.Fault, state.Failures = line(cause), state.Failures+1
		before := !state.LastAlarm.IsZero() && !state.LastAlarm.Before(state.FailingSince)
		if !before && now.Sub(state.FailingSince) >= patience*s.interval(state.Kind) {
			state.LastAlarm = now
			err := alarm.Raise(tx, alarm.SyncFailed, "", now, "people are not as the directory has them since %s: %s", state.FailingSince.UTC().Format(time.RFC3339), state.Fault)
			if err != nil {
				return err
			}
		}
		return i.write(tx, state, i.stored.Cookie)
	})
}

// patience is how many intervals a synchronisation may fail before there is an alarm.
const patience = 3

// line is an error on one line that is not too long.
func line(err error) string {
	text := tidy(err.Error())
	return text[:min(len(text), 500)]
}

// peopleOf are the people of the source who have not left.
func peopleOf(tx *store.Tx) ([]record.PersonID, error) {
	all, err := tx.EveryPerson()
	if err != nil {
		return nil, err
	}
	var ids []record.PersonID
	for _, p := range all {
		if p.GetSource() == roster.LDAP && p.GetLeftAt() == nil {
			ids = append(ids, record.PersonID(p.GetId()))
		}
	}
	return ids, nil
}

// sum says what a cookie is good for: another base or mapping reads everything anew.
func (s *Syncer) sum() string {
	c := s.Config
	b, err := json.Marshal([]any{c.Kind, c.Base, c.Filter, c.GroupBase, c.Map})
	if err != nil {
		panic(err) // strings only
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// interval is how often the server is asked.
func (s *Syncer) interval(kind string) time.Duration {
	switch {
	case s.Config.Interval > 0:
		return s.Config.Interval
	case kind == string(ldap.Other):
		return defaultSlow
	}
	return defaultInterval
}

func (s *Syncer) fullInterval() time.Duration {
	if s.Config.FullInterval > 0 {
		return s.Config.FullInterval
	}
	return defaultFull
}
