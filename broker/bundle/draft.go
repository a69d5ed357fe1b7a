package bundle

import (
	"slices"
	"strings"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/directory"
	"tapline/broker/policy"
	"tapline/broker/shift"
	"tapline/broker/store"
	"tapline/proto/grant"
	"tapline/proto/record"
)

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
	zone, err := tx.Zone(s.Entry.GetZone())
	if err != nil {
		return grant.Bundle{}, err
	}
	key, err := grant.StationKey(m.SiteKey, station)
	if err != nil {
		return grant.Bundle{}, err
	}
	now := m.Now()
	b := grant.Bundle{
		Version: grant.Version, Station: station, Policy: set.Version(), Account: record.AccountID(s.Entry.GetAccount()),
		Terms: termsOf(policy.Request{Station: s.Entry, Zone: zone}, now), Tiers: tiersOf(zone), PIN: policy.PINRuleOf(zone), Grants: []grant.Grant{},
	}
	w := worker{
		tx: tx, roll: m.roll, directory: m.Directory, set: set, forecast: policy.NewForecaster(set), station: s.Entry, zone: zone, key: key, now: now,
		until: now.Add(life(b.Tiers)), people: map[record.PersonID]*subject{}, shifts: map[string]bool{},
	}
	w.findApprovers()
	for _, badge := range m.roll.badges {
		g, ok, err := w.grant(badge)
		if err != nil {
			return b, err
		}
		if ok {
			b.Grants = append(b.Grants, g)
		}
	}
	slices.SortFunc(b.Grants, func(x, y grant.Grant) int { return strings.Compare(string(x.Badge), string(y.Badge)) })
	b.Answers, b.Outlooks = w.forecast.Answers, w.forecast.Outlooks
	b.Shifts, err = w.periods()
	return b, err
}

// tiersOf is how old the bundle of a station in a zone may get.
func tiersOf(z *taplinev1.Zone) []grant.Tier {
	o := z.GetOffline()
	if o == nil {
		return grant.DefaultTiers()
	}
	return []grant.Tier{
		{Name: grant.TierAll, UntilSeconds: int64(o.GetEverybody().AsDuration().Seconds())},
		{Name: grant.TierEssential, UntilSeconds: int64(o.GetEssential().AsDuration().Seconds())},
	}
}

// life is how long a bundle is good: as long as its last tier. A bundle that grants nothing still says why, for a minute.
func life(tiers []grant.Tier) time.Duration {
	return max(time.Minute, time.Duration(tiers[len(tiers)-1].UntilSeconds)*time.Second)
}

// termsOf are the terms of sessions that the station begins alone. The longest session is told by its length.
func termsOf(r policy.Request, now time.Time) grant.Terms {
	t := r.Terms(now, time.Time{})
	terms := grant.Terms{
		IdleSeconds:        int64(t.GetIdle().AsDuration().Seconds()),
		IdleWarningSeconds: int64(t.GetIdleWarning().AsDuration().Seconds()),
		LeaveTheCard:       t.GetLeaveTheCard(),
		CardGraceSeconds:   int64(t.GetCardGrace().AsDuration().Seconds()),
		SessionSeconds:     int64(r.Zone.GetLongest().AsDuration().Seconds()),
		Mode:               policy.ModeName(t.GetMode()),
	}
	if e := r.Station.GetTerms().GetEndsAt(); e != nil {
		ends := e.AsTime()
		terms.EndsAt = &ends
	}
	return terms
}

// worker makes the grants of one station.
type worker struct {
	tx        *store.Tx
	roll      *roll
	directory directory.Directory
	set       *policy.Set
	forecast  *policy.Forecaster
	station   *taplinev1.Station
	zone      *taplinev1.Zone
	key       []byte
	now       time.Time
	until     time.Time // the bundle's end
	people    map[record.PersonID]*subject
	shifts    map[string]bool // that grants name

	approvers []*taplinev1.PersonEntry // one of each class
	classes   map[string]int           // of approvers, counted from 1, by what the policy sees in them
}

// subject is a person whom the policy was asked about.
type subject struct {
	person *taplinev1.PersonEntry // nil for one who is not there
	grant  grant.Grant            // without the badge
}

func (w *worker) grant(b store.Badge) (grant.Grant, bool, error) {
	s := w.subject(b.Person)
	if s.person == nil {
		return grant.Grant{}, false, nil
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
	if !b.NotAfter.IsZero() {
		g.BadgeUntil = &b.NotAfter
	}
	return g, true, nil
}

// subject asks the policy about a person, once however many badges they have.
func (w *worker) subject(id record.PersonID) *subject {
	if s, ok := w.people[id]; ok {
		return s
	}
	s := &subject{}
	w.people[id] = s
	p := w.roll.people[id]
	if p == nil {
		return s
	}
	s.person, s.grant = p, grant.Grant{Person: grant.Person{
		ID: record.PersonID(p.GetId()), DisplayName: p.GetDisplayName(), Language: p.GetLanguage(), Roles: p.GetRoles(),
	}}
	if p.GetSuspended() {
		s.grant.Refusal = policy.RefusalWord(taplinev1.RefusalCause_REFUSAL_CAUSE_PERSON_INACTIVE)
		return s
	}
	s.grant.Shifts, s.grant.OnlineOnly = p.GetShifts(), !w.set.Exact()
	s.grant.Phases, s.grant.Approver = w.phases(p), w.class(p)
	for _, shift := range p.GetShifts() {
		w.shifts[shift] = true
	}
	s.grant.PIN = w.roll.pins[id]
	return s
}

// phases asks for each time during which the person's certifications stay the same.
func (w *worker) phases(p *taplinev1.PersonEntry) []grant.Phase {
	r := policy.Request{Person: p, Station: w.station, Zone: w.zone}
	phases := []grant.Phase{w.phase(r, w.now)}
	for _, at := range w.lapses(p) {
		next, last := w.phase(r, at), &phases[len(phases)-1]
		if next.Outlook == last.Outlook && next.Essential == last.Essential && slices.Equal(next.Approved, last.Approved) {
			continue
		}
		last.Until = &at
		phases = append(phases, next)
	}
	return phases
}

// lapses are the times within the bundle's life at which certifications of a person lapse.
func (w *worker) lapses(p *taplinev1.PersonEntry) []time.Time {
	var all []time.Time
	for _, c := range p.GetCertifications() {
		if c.GetNotAfter() == nil {
			continue
		}
		if at := c.GetNotAfter().AsTime(); at.After(w.now) && at.Before(w.until) {
			all = append(all, at)
		}
	}
	slices.SortFunc(all, time.Time.Compare)
	return slices.CompactFunc(all, time.Time.Equal)
}

// maxPeriods bounds how many times one shift may begin within a bundle's life.
const maxPeriods = 1000

// periods are the hours of the shifts that grants name. They are those of whole days, so that a bundle does not differ from the one before just
// because it was made later that day.
func (w *worker) periods() (map[string][]grant.Period, error) {
	if len(w.shifts) == 0 {
		return nil, nil //nolint:nilnil // an empty map
	}
	plan, err := directory.Shifts(w.tx)
	if err != nil {
		return nil, err
	}
	const day = 24 * time.Hour
	from, until := w.now.UTC().Truncate(day).Add(-day), w.until.UTC().Truncate(day).Add(2*day)
	all := map[string][]grant.Period{}
	for id := range w.shifts {
		if s, ok := plan[id]; ok {
			all[id] = hours(s, from, until)
		}
	}
	return all, nil
}

// hours are the periods of a shift between two times.
func hours(s shift.Shift, from, until time.Time) []grant.Period {
	var all []grant.Period
	for at := from; at.Before(until) && len(all) < maxPeriods; {
		in, change := s.Covers(at)
		if change.IsZero() || change.After(until) {
			change = until
		}
		if in {
			all = append(all, grant.Period{From: at.UTC(), Until: change.UTC()})
		}
		at = change
	}
	return all
}
