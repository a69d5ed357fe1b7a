// Package lease says who holds which shared account: how many sessions at once, under which fencing number, until when.
//
// The session service takes and returns leases inside the update that answers a tap, the ingest reconciles them with what the records tell.
// A lease belongs to one session. What is counted is its scope: the shared account over all stations, or the station itself where it has no account. An
// account without a capacity has the same scope and is not counted, so that one which gets a capacity counts from then on what is open already. Each
// lease of a scope has a greater fencing number than all before it, so that whoever acts on an older one can be told. A station has one
// session at a time: a new one ends the station's others.
//
// The package decides nothing about people, and never waits: a lease that cannot be had is refused at once.
package lease

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"github.com/google/uuid"

	"tapline/broker/store"
	"tapline/proto/record"
)

// DefaultTime is how long a lease lasts unless it is extended.
const DefaultTime = 12 * time.Hour

// ErrHeld says that the account's leases are all taken.
var ErrHeld = errors.New("the account is held elsewhere")

// Causes of an end that are no record.EndCause.
const (
	CauseSuperseded = "superseded"
	CauseExpired    = "expired"
)

// causeRevoked is END_CAUSE_REVOKED as records spell it.
const causeRevoked = "revoked"

// Want is a lease that is asked for.
type Want struct {
	Session record.SessionID
	Station record.StationID
	Person  record.PersonID
	Account record.AccountID // empty where the station has none
	// Until is when the session must end at the latest; zero for no such time.
	Until time.Time
	// Over are leases that end with the taking of this one, by their IDs, and the cause of each. They do not count as taken.
	Over map[string]string
	// BadgeEndsAt is when the badge that opens the session ends by itself; zero for never.
	BadgeEndsAt time.Time
}

// ScopeOf is what is counted: the account, or the station where it has none.
func ScopeOf(account record.AccountID, station record.StationID) string {
	if account == "" {
		return "station " + string(station)
	}
	return "account " + string(account)
}

// terms is what an account allows.
type terms struct {
	scope    string
	capacity int // 0 if nobody counts
	time     time.Duration
}

func termsOf(tx *store.Tx, w Want) (terms, error) {
	t := terms{scope: ScopeOf(w.Account, w.Station), capacity: 1, time: DefaultTime}
	if w.Account == "" {
		return t, nil
	}
	a, err := tx.Account(w.Account)
	if errors.Is(err, store.ErrNotFound) { // deleted while a station still names it: exclusive is the safe reading
		return t, nil
	}
	if err != nil {
		return t, err
	}
	t.capacity = int(a.GetCapacity()) // 0 is each station for itself: two stations under one account must not lock each other's people out
	if d := a.GetLeaseTime().AsDuration(); d > 0 {
		t.time = d
	}
	return t, nil
}

// Take takes a lease. The station's other leases end with it, expired ones of the scope too. ErrHeld if there is none to be had.
func Take(tx *store.Tx, w Want, now time.Time) (store.Lease, error) {
	return take(tx, w, now, false)
}

// Adopt takes a lease for a session that has begun without one, offline, whether or not there is one to be had. held says that there was none.
func Adopt(tx *store.Tx, w Want, now time.Time) (l store.Lease, held bool, err error) {
	l, err = take(tx, w, now, false)
	if !errors.Is(err, ErrHeld) {
		return l, false, err
	}
	l, err = take(tx, w, now, true)
	return l, true, err
}

func take(tx *store.Tx, w Want, now time.Time, force bool) (store.Lease, error) {
	t, err := termsOf(tx, w)
	if err != nil {
		return store.Lease{}, err
	}
	var held []store.Lease
	if t.capacity > 0 {
		if held, err = tx.LeasesOfScope(t.scope); err != nil {
			return store.Lease{}, err
		}
	}
	taken := 0
	for _, l := range held {
		if _, over := w.Over[l.ID]; l.Station != w.Station && now.Before(l.ExpiresAt) && !over {
			taken++
		}
	}
	if t.capacity > 0 && taken >= t.capacity && !force {
		return store.Lease{}, ErrHeld
	}
	if err := endOthers(tx, w.Station, held, now); err != nil {
		return store.Lease{}, err
	}
	for _, id := range slices.Sorted(maps.Keys(w.Over)) {
		if err := tx.EndLease(id, w.Over[id], now); err != nil {
			return store.Lease{}, err
		}
	}
	return add(tx, w, t, now)
}

// endOthers ends what the station holds, and what has expired.
func endOthers(tx *store.Tx, station record.StationID, scope []store.Lease, now time.Time) error {
	own, err := tx.LeasesOfStation(station)
	if err != nil {
		return err
	}
	for _, l := range append(own, scope...) {
		cause := CauseSuperseded
		if !now.Before(l.ExpiresAt) {
			cause = CauseExpired
		} else if l.Station != station {
			continue
		}
		if err := tx.EndLease(l.ID, cause, now); err != nil {
			return err
		}
	}
	return nil
}

func add(tx *store.Tx, w Want, t terms, now time.Time) (store.Lease, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return store.Lease{}, fmt.Errorf("name lease: %w", err)
	}
	return tx.TakeLease(store.Lease{
		ID: id.String(), Scope: t.scope, Account: w.Account, Session: w.Session, Station: w.Station, Person: w.Person,
		OpenedAt: now, ExpiresAt: earliest(now.Add(t.time), w.Until, w.BadgeEndsAt), BadgeEndsAt: w.BadgeEndsAt,
	})
}

// Errors of Extend and End.
var (
	// ErrStale says that the fence is not the lease's, or that the lease is another station's.
	ErrStale = errors.New("the fence is not this lease's")
	// ErrEnded says that the lease has ended.
	ErrEnded = errors.New("the lease has ended")
)

// Held gives the lease of a session, if station holds it under fence. It may have ended: see EndedAt.
func Held(tx *store.Tx, session record.SessionID, station record.StationID, fence record.Fence) (store.Lease, error) {
	l, err := tx.LeaseOf(session)
	if err != nil {
		return l, err
	}
	if l.Fence != fence || l.Station != station {
		return l, ErrStale
	}
	return l, nil
}

// Extend moves the end of a lease in force, but never past the end of the badge that opened the session.
func Extend(tx *store.Tx, l store.Lease, until, now time.Time) (store.Lease, error) {
	if !l.EndedAt.IsZero() {
		return l, ErrEnded
	}
	t, err := termsOf(tx, Want{Account: l.Account, Station: l.Station})
	if err != nil {
		return l, err
	}
	l.ExpiresAt = earliest(now.Add(t.time), until, l.BadgeEndsAt)
	return l, tx.ExtendLease(l.ID, l.ExpiresAt)
}

// earliest is the first of some times; a zero one counts for nothing.
func earliest(first time.Time, others ...time.Time) time.Time {
	for _, t := range others {
		if !t.IsZero() && t.Before(first) {
			first = t
		}
	}
	return first
}

// Message is a lease as a station sees it.
func Message(l store.Lease) *taplinev1.Lease {
	return &taplinev1.Lease{Id: l.ID, Account: string(l.Account), Fence: uint64(l.Fence), ExpiresAt: timestamp(l.ExpiresAt)}
}
