package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"tapline/broker/store"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

const press = "plant/press/line-4/hmi-1"

// want fails an update unless err is the sentinel.
func want(what string, err, sentinel error) error {
	if !errors.Is(err, sentinel) {
		return fmt.Errorf("%s: got %w, want %w", what, err, sentinel)
	}
	return nil
}

func (e Engine) directory(t *testing.T) {
	t.Run("an entry is changed only by who has read it", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			put := func(revision uint64) (uint64, error) {
				return tx.PutPerson(&taplinev1.PersonEntry{Id: "p-1", DisplayName: "Anna B.", Revision: revision})
			}
			_, err := put(7)
			errs := []error{want("a revision of nothing", err, store.ErrRevision)}
			first, err := put(0)
			errs = append(errs, err)
			second, err := put(first)
			errs = append(errs, err)
			_, err = put(first)
			errs = append(errs, want("an old revision", err, store.ErrRevision))
			if second <= first {
				errs = append(errs, fmt.Errorf("revision %d after %d", second, first))
			}
			p, err := tx.Person("p-1")
			if err == nil && (p.GetDisplayName() != "Anna B." || p.GetRevision() != second) {
				err = fmt.Errorf("read back: %v", p)
			}
			return errors.Join(append(errs, err)...)
		})
	})
	t.Run("what is not there is not found", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			_, person := tx.Person("p-0")
			_, account := tx.Account("a-0")
			_, station := tx.Station(press)
			_, badge := tx.Badge("b-0")
			_, bundle := tx.Bundle(press)
			_, policy := tx.PolicyVersion()
			return errors.Join(want("person", person, store.ErrNotFound), want("account", account, store.ErrNotFound),
				want("station", station, store.ErrNotFound), want("badge", badge, store.ErrNotFound), want("bundle", bundle, store.ErrNotFound),
				want("policy", policy, store.ErrNotFound), want("delete", tx.DeletePerson("p-0"), store.ErrNotFound))
		})
	})
	t.Run("pages give every entry once, and a search takes its text as it is", func(t *testing.T) {
		s := e.fresh(t)
		do(t, s, func(tx *store.Tx) error {
			for i := range 25 {
				if _, err := tx.PutAccount(&taplinev1.Account{Id: fmt.Sprintf("hmi_%02d", i)}); err != nil {
					return err
				}
			}
			seen, after := 0, ""
			for {
				page, err := tx.Accounts(store.Page{Size: 10, After: after})
				if err != nil || len(page) == 0 {
					break
				}
				seen, after = seen+len(page), page[len(page)-1].GetId()
			}
			found, err := tx.Accounts(store.Page{Size: 100, Query: "I_1"})
			none, err2 := tx.Accounts(store.Page{Size: 100, Query: "%"})
			if seen != 25 || len(found) != 10 || len(none) != 0 {
				return fmt.Errorf("paged %d of 25, found %d of 10 and %d of 0", seen, len(found), len(none))
			}
			return errors.Join(err, err2)
		})
	})
	e.inForce(t)
	e.shifts(t)
	e.badges(t)
	e.requests(t)
	e.scim(t)
}

// inForce is what there is one of at a time.
func (e Engine) inForce(t *testing.T) {
	t.Run("a badge number is in force once, and again after it was revoked", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			add := func(id string) error {
				return tx.AddBadge(store.Badge{ID: id, Person: "p-1", Lookup: []byte("l"), Number: []byte("n"), AssignedAt: begin()})
			}
			errs := []error{add("b-1"), want("a second one", add("b-2"), store.ErrExists), tx.RevokeBadge("b-1", "lost"), add("b-3")}
			b, err := tx.BadgeByLookup([]byte("l"))
			if b.ID != "b-3" {
				errs = append(errs, fmt.Errorf("found %q, want the one in force", b.ID))
			}
			every, err2 := tx.EveryBadge()
			if len(every) != 1 {
				errs = append(errs, fmt.Errorf("%d badges for a bundle, want 1", len(every)))
			}
			return errors.Join(append(errs, err, err2)...)
		})
	})
	t.Run("the policy set that was put last is in force, and an old one can return", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			for i, v := range []string{"one", "two", "one"} {
				if err := tx.AddPolicy(&taplinev1.PolicySet{Version: v, Text: "text " + v}, begin().Add(time.Duration(i)*time.Hour)); err != nil {
					return err
				}
			}
			v, err := tx.PolicyVersion()
			if v != "one" {
				return fmt.Errorf("%q is in force, %w", v, err)
			}
			p, err := tx.Policy("two")
			if p.GetText() != "text two" {
				return fmt.Errorf("two reads %q, %w", p.GetText(), err)
			}
			return err
		})
	})
}

func (e Engine) identities(t *testing.T) {
	t.Run("a token is used once, and not after it was revoked", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			var errs []error
			for _, id := range []string{"t-1", "t-2"} {
				errs = append(errs, tx.AddToken(store.Token{ID: id, Hash: []byte(id), Station: press, MadeAt: begin(), ExpiresAt: begin().Add(time.Hour)}))
			}
			errs = append(errs, tx.UseToken("t-1", []byte("q"), []byte("a"), begin()),
				want("used twice", tx.UseToken("t-1", []byte("q"), []byte("a"), begin()), store.ErrExists),
				tx.RevokeToken("t-2", begin()), want("used after", tx.UseToken("t-2", nil, nil, begin()), store.ErrExists))
			got, err := tx.TokenByHash([]byte("t-1"))
			if !got.UsedAt.Equal(begin()) || string(got.Reply) != "a" {
				errs = append(errs, fmt.Errorf("read back: %+v", got))
			}
			return errors.Join(append(errs, err)...)
		})
	})
	t.Run("certificates are revoked but for the one that is spared, and forgotten after their end", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			var errs []error
			for i, serial := range []string{"a1", "b2"} {
				errs = append(errs, tx.AddCertificate(store.Certificate{
					Serial: serial, Role: wire.RoleStation, Subject: press, Join: uint64(i + 1), NotBefore: begin(), NotAfter: begin().Add(time.Hour * time.Duration(i+1)),
				}))
			}
			errs = append(errs, tx.RevokeCertificates(wire.RoleStation, press, "b2", begin()))
			first, err1 := tx.Certificate("a1")
			second, err2 := tx.Certificate("b2")
			if first.RevokedAt.IsZero() || !second.RevokedAt.IsZero() || second.Join != 2 {
				errs = append(errs, fmt.Errorf("read back: %+v, %+v", first, second))
			}
			errs = append(errs, err1, err2, tx.PurgeCertificates(begin().Add(90*time.Minute)))
			_, err1 = tx.Certificate("a1")
			_, err2 = tx.Certificate("b2")
			return errors.Join(append(errs, want("purged", err1, store.ErrNotFound), err2)...)
		})
	})
	t.Run("what is written of a station does not touch what an administrator wrote", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			entry := &taplinev1.Station{Id: press, Account: "press-hmi", Mode: taplinev1.Mode_MODE_GATE, State: taplinev1.StationState_STATION_STATE_REVOKED}
			_, err := tx.PutStation(entry)
			errs := []error{
				err, tx.SetStationState(press, taplinev1.StationState_STATION_STATE_QUARANTINED, "clone"),
				tx.SetStationJoin(press, store.Join{IdentityKey: []byte("k"), Sequence: 3, EnrolledAt: begin()}),
				tx.SetStationChain(press, "c-1", "v1", map[string]string{"os": "x"}), tx.SeeStation(press, begin(), 7, "v2"),
				want("another one", tx.SeeStation("a/b/c/d", begin(), 1, ""), store.ErrNotFound),
			}
			s, err := tx.Station(press)
			if s.State != taplinev1.StationState_STATION_STATE_QUARANTINED || s.Join.Sequence != 3 || s.Chain != "c-1" || s.Bundle != 7 ||
				s.Build != "v2" || s.Hints["os"] != "x" || s.Entry.GetAccount() != "press-hmi" || s.Entry.GetMode() != taplinev1.Mode_MODE_GATE {
				errs = append(errs, fmt.Errorf("read back: %+v", s))
			}
			return errors.Join(append(errs, err)...)
		})
	})
}

func (e Engine) taps(t *testing.T) {
	t.Run("an answer is kept once", func(t *testing.T) {
		s := e.fresh(t)
		a := store.Answer{Session: "s-1", Station: press, Request: []byte("q"), Reply: []byte("r"), At: begin()}
		do(t, s, func(tx *store.Tx) error { return tx.AddAnswer(a) })
		if err := s.Update(t.Context(), func(tx *store.Tx) error { return tx.AddAnswer(a) }); err == nil {
			t.Error("a second answer to one session was kept")
		}
	})
	t.Run("refusals are found by their code and forgotten with time", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			r := store.Refusal{Code: "ABC234", Station: press, At: begin(), Decision: &taplinev1.Decision{}, Lookup: []byte("l"), Number: []byte("n")}
			errs := []error{tx.AddRefusal(r), want("the code again", tx.AddRefusal(r), store.ErrExists)}
			got, err := tx.Refusal("ABC234")
			if !got.At.Equal(begin()) || string(got.Lookup) != "l" {
				errs = append(errs, fmt.Errorf("read back: %+v", got))
			}
			errs = append(errs, err, tx.PurgeTaps(begin().Add(time.Second)))
			_, err = tx.Refusal("ABC234")
			return errors.Join(append(errs, want("purged", err, store.ErrNotFound))...)
		})
	})
	t.Run("fences rise for each scope by itself", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			for i := range 5 {
				for _, scope := range []string{"account a", "account b"} {
					f, err := tx.NextFence(scope)
					if err != nil || f != record.Fence(i+1) {
						return fmt.Errorf("fence %d of %s after %d, %w", f, scope, i, err)
					}
				}
			}
			last, err := tx.LastFence("account c")
			if last != 0 {
				return fmt.Errorf("a scope without leases has fence %d", last)
			}
			return err
		})
	})
	t.Run("a fence and a session have one lease, and an ended lease does not move", func(t *testing.T) {
		s := e.fresh(t)
		l := store.Lease{ID: "l-1", Scope: "x", Fence: 1, Session: "s-1", Station: press, Person: "p", OpenedAt: begin(), ExpiresAt: begin().Add(time.Hour)}
		do(t, s, func(tx *store.Tx) error { return tx.AddLease(l) })
		for what, change := range map[string]func(*store.Lease){
			"fence": func(l *store.Lease) { l.ID, l.Session = "l-2", "s-2" }, "session": func(l *store.Lease) { l.ID, l.Fence = "l-2", 2 },
		} {
			other := l
			change(&other)
			if err := s.Update(t.Context(), func(tx *store.Tx) error { return tx.AddLease(other) }); err == nil {
				t.Errorf("two leases with one %s", what)
			}
		}
		do(t, s, func(tx *store.Tx) error {
			errs := []error{
				tx.EndLease("l-1", "tap-out", begin()), tx.EndLease("l-1", "expired", begin().Add(time.Hour)),
				tx.ExtendLease("l-1", begin().Add(9*time.Hour)),
			}
			got, err := tx.LeaseOf("s-1")
			if got.Cause != "tap-out" || !got.EndedAt.Equal(begin()) || !got.ExpiresAt.Equal(l.ExpiresAt) {
				errs = append(errs, fmt.Errorf("read back: %+v", got))
			}
			return errors.Join(append(errs, err)...)
		})
	})
}
