package bundle_test

import (
	"bytes"
	"errors"
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
		Badge: g.Badge, Person: grant.Person{ID: "p-1", DisplayName: "Anna B.", Language: "sv", Roles: []string{"operator"}}, Rules: []string{"known-people"},
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

func TestWhatAGrantSays(t *testing.T) {
	at := time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC)
	soon, later := at.Add(time.Hour), at.Add(48*time.Hour)
	for _, row := range []struct {
		says string
		set  func(p *plant)
		want func(g *grant.Grant) // changes what Anna has otherwise
	}{
		{"a badge that was lost is known and refused", func(p *plant) {
			p.update(func(tx *store.Tx) error { return errors.Join(tx.RevokeBadge("b-1", "lost"), tx.Changed()) })
		}, func(g *grant.Grant) { g.Refusal, g.Rules = "badge-revoked", nil }},
		{"a person who is suspended is known and refused", func(p *plant) {
			p.person(&taplinev1.PersonEntry{Id: "p-1", DisplayName: "Anna B.", Language: "sv", Roles: []string{"operator"}, Suspended: true})
		}, func(g *grant.Grant) { g.Refusal, g.Rules = "person-inactive", []string{"suspended"} }},
		{"who lacks a certification is refused", func(p *plant) {
			p.station(&taplinev1.Station{Id: string(press), RequiresCertifications: []string{"press"}})
		}, func(g *grant.Grant) { g.Refusal, g.Rules = "certification", []string{"certifications"} }},
		{"a certification ends the grant", func(p *plant) {
			p.station(&taplinev1.Station{Id: string(press), RequiresCertifications: []string{"press"}})
			p.person(&taplinev1.PersonEntry{
				Id: "p-1", DisplayName: "Anna B.", Language: "sv", Roles: []string{"operator"}, Certifications: []*taplinev1.Certification{
					{Name: "press", NotAfter: timestamppb.New(later)}, {Name: "forklift", NotAfter: timestamppb.New(soon)},
				},
			})
		}, func(g *grant.Grant) { g.NotAfter = &later }},
		{"a badge of a few hours ends with them", func(p *plant) {
			p.update(func(tx *store.Tx) error { return tx.RevokeBadge("b-1", "") })
			p.badge("b-2", "p-1", annas, soon)
		}, func(g *grant.Grant) { g.NotAfter = &soon }},
		{"a badge whose hours are over is refused", func(p *plant) {
			p.update(func(tx *store.Tx) error { return tx.RevokeBadge("b-1", "") })
			p.badge("b-2", "p-1", annas, at)
		}, func(g *grant.Grant) { g.Refusal, g.Rules = "badge-revoked", nil }},
		{"an assurance that the station asks for", func(p *plant) {
			p.station(&taplinev1.Station{Id: string(press), RequiresAssurance: taplinev1.Assurance_ASSURANCE_SYMMETRIC_PROOF})
		}, func(g *grant.Grant) { g.MinAssurance = 3 }},
		{"the best assurance there is", func(p *plant) {
			p.station(&taplinev1.Station{Id: string(press), RequiresAssurance: taplinev1.Assurance_ASSURANCE_PUBLIC_KEY_PROOF})
		}, func(g *grant.Grant) { g.MinAssurance = 4 }},
		{"a PIN is needed, and there is one", func(p *plant) {
			p.rules(`@id("pins") @refusal("pin-needed") forbid (principal, action == Action::"openSession", resource) unless { context.pin };`)
			p.update(func(tx *store.Tx) error { return errors.Join(tx.PutPIN("p-1", "$argon2id$...", at), tx.Changed()) })
		}, func(g *grant.Grant) { g.NeedsPIN, g.PIN = true, "$argon2id$..." }},
		{"a lead is essential", func(p *plant) {
			p.person(&taplinev1.PersonEntry{Id: "p-1", DisplayName: "Anna B.", Language: "sv", Roles: []string{"shift-lead"}})
		}, func(g *grant.Grant) { g.Essential, g.Person.Roles = true, []string{"shift-lead"} }},
		{"who may work only under the broker's eye", func(p *plant) {
			p.rules(`@id("online") forbid (principal, action == Action::"openSession", resource) when { context.offline };`)
		}, func(g *grant.Grant) { g.Refusal, g.Rules = "policy", []string{"online"} }},
		{"a policy that errs grants nothing", func(p *plant) {
			p.rules(`@id("broken") forbid (principal, action, resource) when { context.assurance + 9223372036854775807 > 0 };`)
		}, func(g *grant.Grant) { g.Refusal, g.Rules = "policy-error", nil }},
	} {
		t.Run(row.says, func(t *testing.T) {
			p := newPlant(t)
			want, _ := p.grantOf(press, annas)
			row.want(&want)
			row.set(p)
			got, ok := p.grantOf(press, annas)
			if got.Refusal == "policy-error" {
				got.Rules = nil // which ones had been looked at does not count
			}
			if d := cmp.Diff(want, got); !ok || d != "" {
				t.Errorf("%v\n%s", ok, d)
			}
		})
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
