package bundle_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/bundle"
	"tapline/broker/directory"
	"tapline/broker/identity"
	"tapline/broker/policy"
	"tapline/broker/rulebook"
	"tapline/broker/store"
	"tapline/broker/vault"
	"tapline/proto/grant"
	"tapline/proto/record"
	"tapline/proto/wire"
)

const (
	press   = record.StationID("plant/press/line-4/hmi-1")
	packing = record.StationID("plant/packing/line-2/hmi-1")
	annas   = "uid\x0032\x00\x04\xa1\xb2\xc3"
	bens    = "uid\x0032\x00\x04\xd4\xe5\xf6"
)

// plant is a maker of bundles for two stations, and Anna with a badge.
type plant struct {
	testing.TB
	*bundle.Maker
	at time.Time
}

func newPlant(t *testing.T) *plant {
	t.Helper()
	p := &plant{TB: t, at: time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC)}
	s, err := store.OpenSQLite(t.TempDir())
	p.must(err)
	t.Cleanup(func() { p.must(s.Close()) })
	p.must(s.Migrate(t.Context()))
	v, err := vault.New(make([]byte, vault.KeySize))
	p.must(err)
	evidence, err := identity.LoadEvidence(t.Context(), s, v, p.at)
	p.must(err)
	site, err := identity.LoadSiteKey(t.Context(), s, v, p.at)
	p.must(err)
	p.Maker = &bundle.Maker{
		Store: s, Directory: directory.Directory{Vault: v}, Rules: &rulebook.Book{}, Evidence: evidence, SiteKey: site,
		Now: func() time.Time { return p.at },
	}
	p.update(func(tx *store.Tx) error { return rulebook.EnsureDefault(tx, p.at) })
	p.station(&taplinev1.Station{Id: string(press), Account: "press-hmi"})
	p.station(&taplinev1.Station{Id: string(packing), Account: "press-hmi"})
	p.person(&taplinev1.PersonEntry{Id: "p-1", DisplayName: "Anna B.", Language: "sv", Roles: []string{"operator"}})
	p.badge("b-1", "p-1", annas, time.Time{})
	return p
}

func (p *plant) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

func (p *plant) update(do func(*store.Tx) error) {
	p.Helper()
	p.must(p.Store.Update(p.Context(), do))
}

func (p *plant) station(s *taplinev1.Station) {
	p.Helper()
	p.update(func(tx *store.Tx) error {
		_, put := tx.PutStation(s)
		return errors.Join(put, tx.SetStationState(record.StationID(s.GetId()), taplinev1.StationState_STATION_STATE_ENROLLED, ""), tx.Changed())
	})
}

func (p *plant) person(e *taplinev1.PersonEntry) {
	p.Helper()
	p.update(func(tx *store.Tx) error {
		_, err := tx.PutPerson(e)
		return errors.Join(err, tx.Changed())
	})
}

func (p *plant) badge(id string, of record.PersonID, number string, until time.Time) {
	p.Helper()
	proof, err := p.Directory.ReadProof("badge", &taplinev1.BadgeProof{Number: []byte(number)})
	p.must(err)
	p.update(func(tx *store.Tx) error {
		return errors.Join(tx.AddBadge(store.Badge{
			ID: id, Person: of, Lookup: proof.Lookup, Number: proof.Sealed, AssignedAt: p.at, NotAfter: until,
		}), tx.Changed())
	})
}

func (p *plant) rules(more string) {
	p.Helper()
	set, err := policy.Load(policy.Default() + more)
	p.must(err)
	p.update(func(tx *store.Tx) error { return rulebook.Put(tx, set, "test", "", p.at) })
}

// current gives a station's bundle as the station opens it.
func (p *plant) current(id record.StationID) *grant.Table {
	p.Helper()
	b, err := p.Current(p.Context(), id)
	p.must(err)
	t, err := grant.Open(b.Envelope, p.Evidence.Public(), id)
	p.must(err)
	if t.Bundle().Sequence != b.Sequence || !t.Bundle().IssuedAt.Equal(b.IssuedAt) {
		p.Errorf("the bundle is number %d of %s, stored as %d of %s", t.Bundle().Sequence, t.Bundle().IssuedAt, b.Sequence, b.IssuedAt)
	}
	return t
}

// grantOf is what a station may do for a badge.
func (p *plant) grantOf(id record.StationID, number string) (grant.Grant, bool) {
	p.Helper()
	key, err := grant.StationKey(p.SiteKey, id)
	p.must(err)
	return p.current(id).Lookup(grant.Ref(key, []byte(number)))
}

func (p *plant) sequence(id record.StationID) uint64 {
	p.Helper()
	return p.current(id).Bundle().Sequence
}

func TestABundleSaysWhoMayWork(t *testing.T) {
	p := newPlant(t)
	p.station(&taplinev1.Station{
		Id: string(press), Account: "press-hmi",
		Terms: &taplinev1.SessionTerms{Idle: durationpb.New(10 * time.Minute), LeaveTheCard: true, CardGrace: durationpb.New(3 * time.Second)},
	})
	b := p.current(press).Bundle()
	if b.Account != "press-hmi" || b.NotAfter.Sub(b.IssuedAt) != bundle.Life || len(b.Tiers) != 2 || b.Policy == "" {
		t.Errorf("got %+v", b)
	}
	if d := cmp.Diff(grant.Terms{IdleSeconds: 600, LeaveTheCard: true, CardGraceSeconds: 3}, b.Terms); d != "" {
		t.Error(d)
	}
	g, ok := p.grantOf(press, annas)
	want := grant.Grant{
		Badge: g.Badge, Person: grant.Person{ID: "p-1", DisplayName: "Anna B.", Language: "sv", Roles: []string{"operator"}}, Phases: []grant.Phase{{}},
	}
	if d := cmp.Diff(want, g); !ok || d != "" {
		t.Errorf("%v\n%s", ok, d)
	}
	if _, ok := p.grantOf(press, bens); ok {
		t.Error("a badge that nobody has is in it")
	}
	if other, _ := p.grantOf(packing, annas); other.Badge == g.Badge {
		t.Error("two stations know a badge by the same hash")
	}
	stored, err := p.Current(t.Context(), press)
	p.must(err)
	if bytes.Contains(stored.Envelope, []byte(annas)) {
		t.Error("the badge's number is in it")
	}
}

// said is what a bundle answers to Anna's badge.
type said struct {
	refusal, rules string
	essential      bool
}

// ask looks Anna's badge up in the press's bundle.
func (p *plant) ask(c grant.Circumstances, at time.Time) said {
	p.Helper()
	t := p.current(press)
	g, ok := p.grantOf(press, annas)
	switch {
	case !ok:
		return said{refusal: "unknown-badge"}
	case g.Refusal != "":
		return said{refusal: g.Refusal}
	case g.BadgeUntil != nil && !at.Before(*g.BadgeUntil):
		return said{refusal: "badge-revoked"}
	}
	a, phase := t.Answer(g, c, at)
	return said{a.Refusal, strings.Join(a.Rules, " "), phase.Essential}
}

func TestWhatAGrantSays(t *testing.T) {
	at := time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC)
	soon, later := at.Add(time.Hour), at.Add(48*time.Hour)
	strong, fine := grant.Circumstances{Assurance: 4}, said{"", "known-people", false}
	for _, row := range []struct {
		says string
		set  func(p *plant)
		with grant.Circumstances
		at   time.Time
		want said
	}{
		{"whoever is known may work", func(*plant) {}, grant.Circumstances{}, at, fine},
		{"a badge that was lost is known and refused", func(p *plant) {
			p.update(func(tx *store.Tx) error { return errors.Join(tx.RevokeBadge("b-1", "lost"), tx.Changed()) })
		}, strong, at, said{refusal: "badge-revoked"}},
		{"a person who is suspended is known and refused", func(p *plant) {
			p.person(&taplinev1.PersonEntry{Id: "p-1", Suspended: true})
		}, strong, at, said{refusal: "person-inactive"}},
		{"who lacks a certification is refused", func(p *plant) {
			p.station(&taplinev1.Station{Id: string(press), RequiresCertifications: []string{"press"}})
		}, strong, at, said{"certification", "certifications", false}},
		{"a certification that has not lapsed does", certified(soon, later), strong, later.Add(-time.Second), fine},
		{"and once it lapses no more", certified(soon, later), strong, later, said{"certification", "certifications", false}},
		{"a badge of a few hours", func(p *plant) {
			p.update(func(tx *store.Tx) error { return tx.RevokeBadge("b-1", "") })
			p.badge("b-2", "p-1", annas, soon)
		}, strong, at, fine},
		{"ends with them", func(p *plant) {
			p.update(func(tx *store.Tx) error { return tx.RevokeBadge("b-1", "") })
			p.badge("b-2", "p-1", annas, soon)
		}, strong, soon, said{refusal: "badge-revoked"}},
		{"a badge as strong as the station asks for", demanding, grant.Circumstances{Assurance: 3}, at, fine},
		{"a badge that is weaker", demanding, grant.Circumstances{Assurance: 2}, at, said{"assurance", "assurance", false}},
		{"a PIN where the zone's rules ask for one", func(*plant) {}, grant.Circumstances{Due: true}, at, said{"pin-needed", "pin", false}},
		{"is enough", func(*plant) {}, grant.Circumstances{Due: true, PIN: true}, at, fine},
		{"off shift", func(*plant) {}, grant.Circumstances{OffShift: true}, at, said{"shift", "shift", false}},
		{"a lead is essential", func(p *plant) {
			p.person(&taplinev1.PersonEntry{Id: "p-1", Roles: []string{"shift-lead"}})
		}, strong, at, said{"", "known-people", true}},
		{"who may work only under the broker's eye", func(p *plant) {
			p.rules(`@id("online") forbid (principal, action == Action::"openSession", resource) when { context.offline };`)
		}, strong, at, said{"policy", "online", false}},
		{"a rule that looks at the clock, before its time", nightly, strong, at.Add(59 * time.Minute), said{"policy", "nights", false}},
		{"and at its time, on another day", nightly, strong, at.Add(25 * time.Hour), fine},
		{"a policy that errs grants nothing", func(p *plant) {
			p.rules(`@id("broken") forbid (principal, action, resource) when { context.assurance + 9223372036854775807 > 0 };`)
		}, strong, at, said{"policy-error", "", false}},
	} {
		t.Run(row.says, func(t *testing.T) {
			p := newPlant(t)
			row.set(p)
			if got := p.ask(row.with, row.at); got != row.want {
				t.Errorf("got %+v, want %+v", got, row.want)
			}
		})
	}
}

func certified(soon, later time.Time) func(*plant) {
	return func(p *plant) {
		p.station(&taplinev1.Station{Id: string(press), RequiresCertifications: []string{"press"}})
		p.person(&taplinev1.PersonEntry{Id: "p-1", Certifications: []*taplinev1.Certification{
			{Name: "press", NotAfter: timestamppb.New(later)}, {Name: "forklift", NotAfter: timestamppb.New(soon)},
		}})
	}
}

func demanding(p *plant) {
	p.station(&taplinev1.Station{Id: string(press), RequiresAssurance: taplinev1.Assurance_ASSURANCE_SYMMETRIC_PROOF})
}

func nightly(p *plant) {
	p.rules(`@id("nights") forbid (principal, action == Action::"openSession", resource) when { context.minuteOfDay < 420 };`)
}

func TestAZoneIsInTheBundle(t *testing.T) {
	p := newPlant(t)
	p.update(func(tx *store.Tx) error {
		_, zone := tx.PutZone(&taplinev1.Zone{
			Id: "hot", Safety: true, RequiresAssurance: 2, Idle: durationpb.New(time.Minute), Longest: durationpb.New(time.Hour),
			Pin:     &taplinev1.PinRules{FirstOfShift: true, AfterIdle: durationpb.New(time.Hour)},
			Offline: &taplinev1.OfflineTiers{Everybody: durationpb.New(8 * time.Hour), Essential: durationpb.New(24 * time.Hour)},
		})
		_, shift := tx.PutShift(&taplinev1.Shift{Id: "early", TimeZone: "Europe/Berlin", Windows: []*taplinev1.ShiftWindow{
			{Days: []uint32{1, 2, 3, 4, 5}, Begin: 6 * 60, End: 14 * 60},
		}})
		return errors.Join(zone, shift)
	})
	p.station(&taplinev1.Station{Id: string(press), Zone: "hot", Mode: taplinev1.Mode_MODE_LOCK})
	p.person(&taplinev1.PersonEntry{Id: "p-1", Shifts: []string{"early"}})
	b := p.current(press).Bundle()
	if d := cmp.Diff(grant.Terms{IdleSeconds: 60, SessionSeconds: 3600, Mode: record.ModeAttribute}, b.Terms); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(grant.PINRule{FirstOfShift: true, AfterIdleSeconds: 3600}, b.PIN); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]grant.Tier{{Name: grant.TierAll, UntilSeconds: 8 * 3600}, {Name: grant.TierEssential, UntilSeconds: 24 * 3600}}, b.Tiers); d != "" {
		t.Error(d)
	}
	if b.NotAfter.Sub(b.IssuedAt) != 24*time.Hour {
		t.Errorf("it is good for %s", b.NotAfter.Sub(b.IssuedAt))
	}
	for at, want := range map[string]bool{"2026-11-23T04:59:59Z": false, "2026-11-23T05:00:00Z": true, "2026-11-24T12:59:00Z": true, "2026-11-24T13:00:00Z": false} {
		when, err := time.Parse(time.RFC3339, at)
		p.must(err)
		if in, _ := p.current(press).InShift([]string{"early"}, when); in != want {
			t.Errorf("%s: in shift %t", at, in)
		}
	}
	if got := p.ask(grant.Circumstances{Assurance: 1}, p.at); got.refusal != "assurance" {
		t.Errorf("the zone's badge is not asked for: %+v", got)
	}
}

func TestPeopleWhoAreAlikeShareWhatThePolicySays(t *testing.T) {
	p := newPlant(t)
	for i := range 50 {
		id := record.PersonID(fmt.Sprintf("x-%d", i))
		p.person(&taplinev1.PersonEntry{Id: string(id), Roles: []string{[]string{"operator", "supervisor"}[i%2]}})
		p.badge(fmt.Sprintf("x-%d", i), id, fmt.Sprintf("uid\x0032\x00%04d", i), time.Time{})
	}
	if b := p.current(press).Bundle(); len(b.Outlooks) != 1 || len(b.Answers) > 8 || len(b.Grants) != 51 {
		t.Errorf("%d outlooks, %d answers, %d grants", len(b.Outlooks), len(b.Answers), len(b.Grants))
	}
	p.rules(`@id("not-x-7") forbid (principal == Person::"x-7", action, resource);`)
	if b := p.current(press).Bundle(); len(b.Outlooks) != 2 {
		t.Errorf("a rule about one person: %d outlooks", len(b.Outlooks))
	}
}

func TestABundleKnowsWhoseApprovalCounts(t *testing.T) {
	p := newPlant(t)
	lapses := timestamppb.New(p.at.Add(48 * time.Hour))
	for i, e := range []*taplinev1.PersonEntry{
		{Id: "lead", Roles: []string{"shift-lead"}},
		{Id: "hand", Roles: []string{"operator"}},
		{Id: "gone", Roles: []string{"shift-lead"}, Suspended: true},
		{Id: "lapsing", Roles: []string{"shift-lead"}, Certifications: []*taplinev1.Certification{{Name: "crane", NotAfter: lapses}}},
	} {
		p.person(e)
		p.badge(e.GetId(), record.PersonID(e.GetId()), fmt.Sprintf("uid\x0032\x00%04d", i), time.Time{})
	}
	if hand, _ := p.grantOf(press, "uid\x0032\x000001"); hand.Approver != 0 || len(hand.Phases[0].Approved) != 0 {
		t.Errorf("no rule looks at approvers: %+v", hand)
	}
	p.rules(`@id("two") @refusal("approval-needed") forbid (principal in Role::"operator", action == Action::"openSession", resource)
		unless { context has approver && context.approver in Role::"shift-lead" };`)
	b := p.current(press)
	hand, _ := p.grantOf(press, "uid\x0032\x000001")
	for number, want := range map[string]string{"0000": "", "0001": "approval-needed", "0002": "approval-needed", "0003": "approval-needed"} {
		by, known := p.grantOf(press, "uid\x0032\x00"+number)
		if got, _ := b.AnswerWith(hand, grant.Circumstances{Assurance: 1}, by.Approver, p.at); !known || got.Refusal != want {
			t.Errorf("approved by %s: %q, want %q", by.Person.ID, got.Refusal, want)
		}
	}
	for i := range 20 { // more kinds of people than a bundle tells apart
		id := record.PersonID(fmt.Sprintf("x-%d", i))
		p.person(&taplinev1.PersonEntry{Id: string(id), Roles: []string{"shift-lead"}, Seniority: uint32(i)})
		p.badge(string(id), id, fmt.Sprintf("uid\x0032\x00x%03d", i), time.Time{})
	}
	if lead, _ := p.grantOf(press, "uid\x0032\x000000"); lead.Approver != 0 || len(lead.Phases[0].Approved) != 0 {
		t.Errorf("with twenty kinds of approvers: %+v", lead)
	}
}

func TestPeopleWhoAreGoneAreNotInIt(t *testing.T) {
	p := newPlant(t)
	p.current(press)
	p.update(func(tx *store.Tx) error { return errors.Join(tx.DeletePerson("p-1"), tx.Changed()) })
	if g, ok := p.grantOf(press, annas); ok {
		t.Errorf("got %+v", g)
	}
}

func TestTheSequenceNumberOnlyRises(t *testing.T) {
	p := newPlant(t)
	if n := p.sequence(press); n != 1 {
		t.Errorf("the first is number %d", n)
	}
	for _, row := range []struct {
		says string
		do   func()
		want uint64
	}{
		{"nothing changed", func() {}, 1},
		{"something changed that it does not depend on", func() { p.person(&taplinev1.PersonEntry{Id: "p-9"}) }, 1},
		{"a badge was assigned", func() { p.person(&taplinev1.PersonEntry{Id: "p-2"}); p.badge("b-9", "p-2", bens, time.Time{}) }, 2},
		{"it is getting old", func() { p.at = p.at.Add(bundle.Fresh) }, 3},
		{"the clock went back", func() { p.at = p.at.Add(-time.Hour) }, 4},
		{"another station changed", func() { p.station(&taplinev1.Station{Id: string(packing), Account: "x"}) }, 4},
		{"the station was deleted and came back", func() {
			p.update(func(tx *store.Tx) error { return tx.DeleteStation(press) })
			p.station(&taplinev1.Station{Id: string(press), Account: "press-hmi"})
		}, 5},
		{"the rules changed in words only", func() { p.rules("// no new rule\n") }, 6}, // a record names the version of the rules
	} {
		row.do()
		if n := p.sequence(press); n != row.want {
			t.Errorf("%s: number %d, want %d", row.says, n, row.want)
		}
	}
	if n := p.sequence(packing); n != 1 {
		t.Errorf("the other station's is number %d: numbers are a station's own", n)
	}
}

func TestManyWhoAskAtOnceGetOneBundle(t *testing.T) {
	p := newPlant(t)
	got := make([]store.Bundle, 16)
	var g errgroup.Group
	for i := range got {
		g.Go(func() (err error) {
			got[i], err = p.Current(t.Context(), press)
			return err
		})
	}
	p.must(g.Wait())
	for _, b := range got {
		if b.Sequence != 1 || !bytes.Equal(b.Envelope, got[0].Envelope) {
			t.Fatalf("number %d beside number %d", b.Sequence, got[0].Sequence)
		}
	}
}

func TestAStationThatIsNotInOrderGetsNoBundle(t *testing.T) {
	p := newPlant(t)
	p.current(press) // it is there, and must not be handed out
	for _, state := range []taplinev1.StationState{
		taplinev1.StationState_STATION_STATE_QUARANTINED, taplinev1.StationState_STATION_STATE_REVOKED,
	} {
		p.update(func(tx *store.Tx) error { return tx.SetStationState(press, state, "clone") })
		if _, err := p.Current(t.Context(), press); wire.KindOf(err) != wire.Precondition || !strings.Contains(err.Error(), "clone") {
			t.Errorf("%s: got %v", state, err)
		}
	}
	p.update(func(tx *store.Tx) error {
		return tx.SetStationState(press, taplinev1.StationState_STATION_STATE_ENROLLED, "")
	})
	if n := p.sequence(press); n != 1 {
		t.Errorf("once released, number %d", n)
	}
	if _, err := p.Current(t.Context(), "plant/press/line-4/hmi-9"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a station that is not there: %v", err)
	}
}
