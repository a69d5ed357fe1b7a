// Package facts collects from the store what the policy needs to know of a tap: the zone and its demands, the shift, when a PIN was given last, who is
// at the station, where else the person is, who holds the account.
//
// The session service asks it for each tap and each extension, the administrator's service when it explains one, the sentry when it looks at sessions
// that go on: so all of them put the same question to the policy. It decides nothing, and what it reads is one snapshot of the store.
package facts

import (
	"errors"
	"fmt"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/lease"
	"tapline/broker/policy"
	"tapline/broker/rulebook"
	"tapline/broker/store"
	"tapline/proto/grant"
	"tapline/proto/record"
)

// Tap is what is asked about.
type Tap struct {
	Action    policy.Action
	Person    *taplinev1.PersonEntry
	Station   *taplinev1.Station
	Account   record.AccountID // that the session is for; empty where the station has none
	Assurance taplinev1.Assurance
	PIN       bool                   // a good one was given with it
	Approver  *taplinev1.PersonEntry // another person who approves; nil for none
	Approved  bool                   // somebody did of whom nobody knows who; an Approver says so too
	At        time.Time
}

// Known is what was found.
type Known struct {
	policy.Request
	// ShiftEnds is when the person's shift ends; zero for no end, or off shift.
	ShiftEnds time.Time
	// Others are the person's leases in force at other stations.
	Others []store.Lease
}

// Collect finds what is known of a tap.
func Collect(tx *store.Tx, book *rulebook.Book, t Tap) (Known, error) {
	k := Known{Request: policy.Request{Action: t.Action, Person: t.Person, Station: t.Station, Tap: policy.Tap{
		Assurance: t.Assurance, PIN: t.PIN, Approved: t.Approved || t.Approver != nil, Approver: t.Approver, At: t.At,
	}}}
	err := errors.Join(k.shift(tx, book), k.presence(tx), k.account(tx, t.Account))
	if err == nil {
		k.Zone, err = tx.Zone(t.Station.GetZone())
	}
	if err != nil {
		return k, fmt.Errorf("facts of a tap of %s at %s: %w", t.Person.GetId(), t.Station.GetId(), err)
	}
	return k, nil
}

// shift finds out whether the person is in a shift, and whether they gave a PIN in it.
func (k *Known) shift(tx *store.Tx, book *rulebook.Book) error {
	plan, err := book.Shifts(tx, k.Person.GetShifts())
	if err != nil {
		return err
	}
	in, until := plan.Covers(k.Person.GetShifts(), k.Tap.At)
	k.Tap.OffShift = !in
	if !in {
		return nil
	}
	k.ShiftEnds = until
	last, err := tx.LastPIN(record.PersonID(k.Person.GetId()), record.StationID(k.Station.GetId()))
	if err != nil || last.IsZero() || last.After(k.Tap.At) {
		return err
	}
	if until.IsZero() {
		k.Tap.PINFresh = k.Tap.At.Sub(last) < grant.FreshFor
		return nil
	}
	then, ended := plan.Covers(k.Person.GetShifts(), last)
	k.Tap.PINFresh = then && ended.Equal(until)
	return nil
}

// presence finds out who is where.
func (k *Known) presence(tx *store.Tx) error {
	person, station := record.PersonID(k.Person.GetId()), record.StationID(k.Station.GetId())
	mine, err := tx.LeasesOfPerson(person)
	if err != nil {
		return err
	}
	for _, l := range mine {
		if l.Station != station && k.Tap.At.Before(l.ExpiresAt) {
			k.Others = append(k.Others, l)
			k.Tap.Elsewhere = append(k.Tap.Elsewhere, string(l.Station))
		}
	}
	here, err := tx.LeasesOfStation(station)
	if err != nil {
		return err
	}
	for _, l := range here {
		if !k.Tap.At.Before(l.ExpiresAt) {
			continue
		}
		if k.Tap.Occupant, err = Person(tx, l.Person); err != nil {
			return err
		}
	}
	last, err := tx.LastLease(person, station)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return err
	case !last.EndedAt.IsZero():
		k.Tap.LastHere = last.EndedAt
	case k.Tap.At.Before(last.ExpiresAt):
		k.Tap.LastHere = k.Tap.At
	default:
		k.Tap.LastHere = last.ExpiresAt
	}
	return nil
}

// account counts who else holds the account.
func (k *Known) account(tx *store.Tx, id record.AccountID) error {
	if id == "" {
		return nil
	}
	held, err := Holders(tx, id, record.StationID(k.Station.GetId()), k.Tap.At)
	k.Tap.AccountHeld = len(held)
	return err
}

// Holders are the leases of an account in force at other stations, oldest first; none if the account is each station's for itself.
func Holders(tx *store.Tx, id record.AccountID, but record.StationID, at time.Time) ([]store.Lease, error) {
	a, err := tx.Account(id)
	if err == nil && a.GetCapacity() == 0 {
		return nil, nil
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	all, err := tx.LeasesOfScope(lease.ScopeOf(id, but))
	var held []store.Lease
	for _, l := range all {
		if l.Station != but && at.Before(l.ExpiresAt) {
			held = append(held, l)
		}
	}
	return held, err
}

// Person reads a person; one who is gone is known by the ID alone.
func Person(tx *store.Tx, id record.PersonID) (*taplinev1.PersonEntry, error) {
	p, err := tx.Person(id)
	if errors.Is(err, store.ErrNotFound) {
		return &taplinev1.PersonEntry{Id: string(id)}, nil
	}
	return p, err
}

// Terms is what ends a session that begins, or goes on, at a time: the station's own word before its zone's, the earliest of all ends. since is when the
// session began.
func (k *Known) Terms(since time.Time) *taplinev1.SessionTerms {
	return k.Request.Terms(since, k.ShiftEnds)
}
