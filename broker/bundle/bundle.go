// Package bundle makes grant bundles: for each station the signed list by which it decides when the broker is away.
//
// The station service asks for a station's current bundle; a task of the broker makes new ones for the stations on the line when the directory or
// the policy has changed. A bundle holds, for each badge, what the policy would say at this station now, both with and without a PIN. Its
// sequence number only rises, also over the deletion of a station; a bundle is made anew every few hours, because its age is what
// limits it.
//
// A badge number is opened here to hash it under the station's own key, and goes nowhere else. A quarantined station gets no bundle.
package bundle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/directory"
	"tapline/broker/identity"
	"tapline/broker/policy"
	"tapline/broker/rulebook"
	"tapline/broker/store"
	"tapline/proto/grant"
	"tapline/proto/record"
	"tapline/proto/wire"
)

// Lifetimes.
const (
	Life = 14 * 24 * time.Hour
	// Fresh is the age at which a bundle is made anew although nothing has changed.
	Fresh = 4 * time.Hour
)

// Maker makes bundles.
type Maker struct {
	Store     *store.Store
	Directory directory.Directory
	Rules     *rulebook.Book
	Evidence  *identity.Evidence
	SiteKey   []byte
	Now       func() time.Time
}

// Current gives the station's bundle, making it if there is none or it is out of date.
func (m *Maker) Current(ctx context.Context, station record.StationID) (store.Bundle, error) {
	var have store.Bundle
	good := false
	err := m.Store.View(ctx, func(tx *store.Tx) error {
		generation, err := tx.Generation()
		if err != nil {
			return err
		}
		if _, err := enrolled(tx, station); err != nil {
			return err
		}
		have, err = tx.Bundle(station)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		age := m.Now().Sub(have.IssuedAt)
		good = have.Generation == generation && age >= 0 && age < Fresh
		return err
	})
	if err != nil || good {
		return have, err
	}
	return m.issue(ctx, station)
}

// issue makes the station's next bundle, unless it would grant what the one in force does.
func (m *Maker) issue(ctx context.Context, station record.StationID) (store.Bundle, error) {
	var draft grant.Bundle
	var generation uint64
	err := m.Store.View(ctx, func(tx *store.Tx) (err error) {
		if generation, err = tx.Generation(); err != nil {
			return err
		}
		draft, err = m.draft(tx, station)
		return err
	})
	if err != nil {
		return store.Bundle{}, err
	}
	plain, err := json.Marshal(draft)
	if err != nil {
		return store.Bundle{}, fmt.Errorf("encode bundle: %w", err)
	}
	digest := sha256.Sum256(plain)
	var out store.Bundle
	err = m.Store.Update(ctx, func(tx *store.Tx) (err error) {
		out, err = m.number(tx, draft, digest[:], generation)
		return err
	})
	return out, err
}

// number gives a draft its number and times, signs and stores it.
func (m *Maker) number(tx *store.Tx, draft grant.Bundle, digest []byte, generation uint64) (store.Bundle, error) {
	now := m.Now().UTC().Truncate(time.Second)
	have, err := tx.Bundle(draft.Station)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return have, err
	}
	if err == nil && bytes.Equal(have.Digest, digest) && now.Sub(have.IssuedAt) < Fresh && !now.Before(have.IssuedAt) {
		have.Generation = max(have.Generation, generation)
		return have, tx.PutBundle(have)
	}
	sequence, err := tx.Next("bundle of "+string(draft.Station), 1)
	if err != nil {
		return have, err
	}
	draft.Sequence, draft.IssuedAt, draft.NotAfter = sequence, now, now.Add(Life)
	e, err := m.Evidence.Sign(grant.PayloadType, &draft)
	if err != nil {
		return have, err
	}
	b := store.Bundle{
		Station: draft.Station, Sequence: sequence, Generation: generation, Digest: digest, Envelope: e.Bytes(), IssuedAt: now,
	}
	return b, tx.PutBundle(b)
}

// enrolled gives a station that may have a bundle. The state is no part of the generation, so it is looked at each time.
func enrolled(tx *store.Tx, station record.StationID) (store.Station, error) {
	s, err := tx.Station(station)
	if err == nil && s.State != taplinev1.StationState_STATION_STATE_ENROLLED {
		err = wire.E(wire.Precondition, "station %s gets no bundle while it is quarantined (%s)", station, s.StateReason)
	}
	return s, err
}

// draft works out what a station may decide alone, without number and times.
func (m *Maker) draft(tx *store.Tx, station record.StationID) (grant.Bundle, error) {
	s, err := enrolled(tx, station)
	if err != nil {
		return grant.Bundle{}, err
	}
	set, err := m.Rules.InForce(tx)
	if err != nil {
		return grant.Bundle{}, err
	}
	badges, err := tx.EveryBadge()
	if err != nil {
		return grant.Bundle{}, err
	}
	key, err := grant.StationKey(m.SiteKey, station)
	if err != nil {
		return grant.Bundle{}, err
	}
	w := worker{tx: tx, directory: m.Directory, set: set, station: s.Entry, key: key, now: m.Now(), people: map[record.PersonID]*subject{}}
	b := grant.Bundle{
		Version: grant.Version, Station: station, Policy: set.Version(), Account: record.AccountID(s.Entry.GetAccount()),
		Terms: termsOf(s.Entry.GetTerms()), Tiers: grant.DefaultTiers(), Grants: []grant.Grant{},
	}
	for _, badge := range badges {
		g, ok, err := w.grant(badge)
		if err != nil {
			return b, err
		}
		if ok {
			b.Grants = append(b.Grants, g)
		}
	}
	slices.SortFunc(b.Grants, func(x, y grant.Grant) int { return strings.Compare(string(x.Badge), string(y.Badge)) })
	return b, nil
}

func termsOf(t *taplinev1.SessionTerms) grant.Terms {
	return grant.Terms{
		IdleSeconds:        int64(t.GetIdle().AsDuration().Seconds()),
		IdleWarningSeconds: int64(t.GetIdleWarning().AsDuration().Seconds()),
		LeaveTheCard:       t.GetLeaveTheCard(),
		CardGraceSeconds:   int64(t.GetCardGrace().AsDuration().Seconds()),
	}
}

// worker makes the grants of one station.
type worker struct {
	tx        *store.Tx
	directory directory.Directory
	set       *policy.Set
	station   *taplinev1.Station
	key       []byte
	now       time.Time
	people    map[record.PersonID]*subject
}

// subject is a person whom the policy was asked about.
type subject struct {
	person *taplinev1.PersonEntry // nil for one who is not there
	grant  grant.Grant            // without the badge
}

func (w *worker) grant(b store.Badge) (grant.Grant, bool, error) {
	s, err := w.subject(b.Person)
	if err != nil || s.person == nil {
		return grant.Grant{}, false, err
	}
	number, err := w.directory.Number(b.Number)
	if err != nil {
		return grant.Grant{}, false, err
	}
	g := s.grant
	g.Badge = grant.Ref(w.key, number)
	if !b.Good(w.now) {
		g = grant.Grant{Badge: g.Badge, Person: g.Person, Refusal: policy.RefusalWord(taplinev1.RefusalCause_REFUSAL_CAUSE_BADGE_REVOKED)}
		return g, true, nil
	}
	if !b.NotAfter.IsZero() && (g.NotAfter == nil || b.NotAfter.Before(*g.NotAfter)) {
		g.NotAfter = &b.NotAfter
	}
	return g, true, nil
}

// subject asks the policy about a person, once however many badges they have.
func (w *worker) subject(id record.PersonID) (*subject, error) {
	if s, ok := w.people[id]; ok {
		return s, nil
	}
	s := &subject{}
	w.people[id] = s
	p, err := w.tx.Person(id)
	if errors.Is(err, store.ErrNotFound) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	verifier, err := w.tx.PIN(id)
	if err != nil {
		return nil, err
	}
	s.person, s.grant = p, w.ask(p)
	s.grant.PIN = verifier
	if s.grant.Refusal != "" {
		s.grant.PIN = ""
	}
	return s, nil
}

// ask puts the questions of one person. The assurance of a badge is known only at the tap, so the policy is asked as if it were the best, and the
// least that still passes goes into the grant.
func (w *worker) ask(p *taplinev1.PersonEntry) grant.Grant {
	g := grant.Grant{Person: grant.Person{
		ID: record.PersonID(p.GetId()), DisplayName: p.GetDisplayName(), Language: p.GetLanguage(), Roles: p.GetRoles(),
	}}
	best := taplinev1.Assurance_ASSURANCE_PUBLIC_KEY_PROOF
	d := w.decide(p, policy.OpenSession, best, false)
	if d.Refusal == taplinev1.RefusalCause_REFUSAL_CAUSE_PIN_NEEDED {
		d = w.decide(p, policy.OpenSession, best, true)
		g.NeedsPIN = d.Allowed
	}
	g.Rules = d.Rules
	if !d.Allowed {
		g.Refusal = policy.RefusalWord(d.Refusal)
		return g
	}
	for a := range best {
		if w.decide(p, policy.OpenSession, a, g.NeedsPIN).Allowed {
			break
		}
		g.MinAssurance = uint8(a) + 1
	}
	g.Essential = w.decide(p, policy.WorkOffline, best, true).Allowed
	g.NotAfter = certifiedUntil(p, w.station.GetRequiresCertifications())
	return g
}

func (w *worker) decide(p *taplinev1.PersonEntry, action policy.Action, a taplinev1.Assurance, pin bool) policy.Decision {
	return w.set.Decide(policy.Request{Action: action, Person: p, Station: w.station, Tap: policy.Tap{
		Assurance: a, PIN: pin, Offline: true, At: w.now,
	}})
}

// certifiedUntil is when the first of the certifications needed lapses; nil if none does.
func certifiedUntil(p *taplinev1.PersonEntry, needed []string) *time.Time {
	var first *time.Time
	for _, c := range p.GetCertifications() {
		if c.GetNotAfter() == nil || !slices.Contains(needed, c.GetName()) {
			continue
		}
		if t := c.GetNotAfter().AsTime(); first == nil || t.Before(*first) {
			first = &t
		}
	}
	return first
}
