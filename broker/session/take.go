package session

import (
	"cmp"
	"errors"
	"slices"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/facts"
	"tapline/broker/lease"
	"tapline/broker/store"
	"tapline/proto/record"
)

// take takes the lease. Sessions that the person has elsewhere end with it where the policy says that they move; when the account is held, those whom
// the person may displace give way, the least senior first.
func (d *Desk) take(tx *store.Tx, t tap, account record.AccountID, c considered, terms *taplinev1.SessionTerms, badgeEndsAt, now time.Time) (store.Lease, error) {
	want := lease.Want{
		Session: t.session, Station: t.station, Person: record.PersonID(c.known.Person.GetId()), Account: account, Until: latest(terms), BadgeEndsAt: badgeEndsAt, Over: map[string]string{},
	}
	if c.verdict.Moves {
		for _, l := range c.known.Others {
			want.Over[l.ID] = CauseWord(taplinev1.EndCause_END_CAUSE_ELSEWHERE)
		}
	}
	l, err := lease.Take(tx, want, now)
	if !errors.Is(err, lease.ErrHeld) {
		return l, err
	}
	held, err := facts.Holders(tx, account, t.station, now)
	if err != nil {
		return l, err
	}
	victims, err := d.weaker(tx, c, held, now)
	if err != nil {
		return l, err
	}
	for _, v := range victims {
		if _, moved := want.Over[v.lease.ID]; moved {
			continue
		}
		want.Over[v.lease.ID] = CauseWord(taplinev1.EndCause_END_CAUSE_REVOKED)
		c.decision.Rules = v.rules
		if l, err = lease.Take(tx, want, now); !errors.Is(err, lease.ErrHeld) {
			return l, err
		}
	}
	c.decision.Rules = c.verdict.Rules
	return l, lease.ErrHeld
}

// victim is a lease whose holder may be displaced, and the rules that say so, joined to those that let the person in.
type victim struct {
	lease     store.Lease
	seniority uint32
	rules     []string
}

// weaker are the leases whose holders the policy lets the person displace, the least senior first.
func (d *Desk) weaker(tx *store.Tx, c considered, held []store.Lease, now time.Time) ([]victim, error) {
	var all []victim
	for _, l := range held {
		holder, err := facts.Person(tx, l.Person)
		if err != nil {
			return nil, err
		}
		v := c.set.Displace(c.known.Request, holder)
		if len(v.Errors) > 0 {
			if _, err := Message(tx, v, record.StationID(c.known.Station.GetId()), now); err != nil {
				return nil, err
			}
		}
		if v.Allowed {
			rules := slices.Concat(c.verdict.Rules, v.Rules)
			slices.Sort(rules)
			all = append(all, victim{l, holder.GetSeniority(), slices.Compact(rules)})
		}
	}
	slices.SortStableFunc(all, func(a, b victim) int { return cmp.Compare(a.seniority, b.seniority) })
	return all, nil
}
