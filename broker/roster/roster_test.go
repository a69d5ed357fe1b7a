package roster_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tapline/broker/acts"
	"tapline/broker/directory"
	"tapline/broker/identity"
	"tapline/broker/lease"
	"tapline/broker/office"
	"tapline/broker/roster"
	"tapline/broker/store"
	"tapline/broker/vault"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

const press = record.StationID("plant/press/line-4/hmi-1")

// plant is a directory that listings are applied to.
type plant struct {
	testing.TB
	store     *store.Store
	directory directory.Directory
	writer    roster.Writer
	at        time.Time
}

func newPlant(t testing.TB) *plant {
	t.Helper()
	p := &plant{TB: t, at: time.Date(2026, 11, 25, 6, 0, 0, 0, time.UTC)}
	var err error
	p.store, err = store.OpenSQLite(t.TempDir())
	p.must(err)
	t.Cleanup(func() { p.must(p.store.Close()) })
	p.must(p.store.Migrate(t.Context()))
	v, err := vault.New(make([]byte, vault.KeySize))
	p.must(err)
	p.directory = directory.Directory{Vault: v}
	evidence, err := identity.LoadEvidence(t.Context(), p.store, v, p.at)
	p.must(err)
	now := func() time.Time { return p.at }
	log, err := acts.Open(t.Context(), p.store, v, evidence, "plant", now)
	p.must(err)
	p.writer = roster.Writer{Office: office.Office{Store: p.store, Acts: log, Now: now}, Changed: func() {}}
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
	p.must(p.store.Update(p.Context(), do))
}

// person is somebody in a listing, with badges of these numbers.
func (p *plant) person(id string, numbers ...string) roster.Person {
	p.Helper()
	e := roster.Person{Entry: &taplinev1.PersonEntry{Id: id, DisplayName: "The " + id, Roles: []string{"operator"}}, At: "at " + id}
	for _, n := range numbers {
		proof, err := p.directory.ReadProof("badge", &taplinev1.BadgeProof{Number: fmt.Appendf(nil, "uid\x0032\x00%4s", n), Technology: "iso14443a", Assurance: 1})
		p.must(err)
		e.Badges = append(e.Badges, roster.Badge{Proof: proof, Label: "number " + n})
	}
	return e
}

const everything = roster.DisplayName | roster.Language | roster.Roles | roster.Certifications | roster.Shifts | roster.Seniority | roster.Suspended | roster.Badges

// csv is a complete listing of people.
func csv(people ...roster.Person) roster.Listing {
	return roster.Listing{Source: roster.CSV, Fields: everything, People: people, Complete: true}
}

func (p *plant) apply(l roster.Listing, r roster.Rules) roster.Outcome {
	p.Helper()
	o, err := p.writer.Apply(p.Context(), l, r)
	p.must(err)
	return o
}

// standing is whether a number opens anything, and for whom.
func (p *plant) standing(number string) string {
	p.Helper()
	says := ""
	p.must(p.store.View(p.Context(), func(tx *store.Tx) error {
		h, cause, err := p.directory.Holder(tx, p.person("x", number).Badges[0].Lookup, p.at)
		switch {
		case err != nil:
			return err
		case cause != 0:
			says = strings.ToLower(strings.TrimPrefix(cause.String(), "REFUSAL_CAUSE_"))
		default:
			says = h.Person.GetId()
		}
		return nil
	}))
	return says
}

func (p *plant) stands(want ...string) {
	p.Helper()
	for _, pair := range want {
		number, says, _ := strings.Cut(pair, " ")
		if got := p.standing(number); got != says {
			p.Errorf("badge %s: %s, want %s", number, got, says)
		}
	}
}

func (p *plant) entry(id record.PersonID) *taplinev1.PersonEntry {
	p.Helper()
	var e *taplinev1.PersonEntry
	p.must(p.store.View(p.Context(), func(tx *store.Tx) (err error) {
		e, err = tx.Person(id)
		return err
	}))
	return e
}

// local makes somebody as an administrator does.
func (p *plant) local(id string) {
	p.Helper()
	p.update(func(tx *store.Tx) error {
		_, err := tx.PutPerson(&taplinev1.PersonEntry{Id: id, DisplayName: id, Source: "local"})
		return errors.Join(err, tx.Changed())
	})
}

func counts(o roster.Outcome) [4]int { return [4]int{o.Added, o.Changed, o.Unchanged, o.Left} }

func TestPeopleComeChangeAndLeave(t *testing.T) {
	p := newPlant(t)
	p.local("boss")
	anna, ben, cleo := p.person("anna", "1"), p.person("ben", "2"), p.person("cleo")
	if got := counts(p.apply(csv(anna, ben, cleo), roster.Rules{})); got != [4]int{3, 0, 0, 0} {
		t.Errorf("the first listing: %v", got)
	}
	if got := counts(p.apply(csv(cleo, anna, ben), roster.Rules{})); got != [4]int{0, 0, 3, 0} {
		t.Errorf("the same again: %v", got)
	}
	p.stands("1 anna", "2 ben", "3 unknown_badge")
	ben.Entry.Roles = []string{"setter", "operator"}
	o := p.apply(csv(ben, p.person("cleo", "3")), roster.Rules{})
	if counts(o) != [4]int{0, 2, 0, 1} || o.Changes[0].Kind != roster.Left || o.Changes[0].Person != "anna" || !slices.Equal(o.Changes[1].What, []string{"roles"}) {
		t.Errorf("got %+v", o)
	}
	p.stands("1 badge_revoked", "2 ben", "3 cleo")
	if e := p.entry("anna"); !e.GetSuspended() || e.GetLeftAt() == nil || e.GetSuspendedBy() != "csv" {
		t.Errorf("who left: %v", e)
	}
	if e := p.entry("boss"); e.GetSuspended() {
		t.Error("a listing reached somebody of another source")
	}
	o = p.apply(csv(ben, p.person("cleo", "3"), anna), roster.Rules{})
	if counts(o) != [4]int{0, 1, 2, 0} || o.Changes[0].Kind != roster.Back {
		t.Errorf("who is back: %+v", o)
	}
	p.stands("1 anna")
	if e := p.entry("anna"); e.GetSuspended() || e.GetLeftAt() != nil {
		t.Errorf("who is back: %v", e)
	}
}

func TestALeaversSessionEnds(t *testing.T) {
	p := newPlant(t)
	p.apply(csv(p.person("anna", "1"), p.person("ben", "2")), roster.Rules{})
	p.update(func(tx *store.Tx) error {
		_, err := lease.Take(tx, lease.Want{Session: "s-1", Station: press, Person: "anna"}, p.at)
		return err
	})
	p.apply(csv(p.person("ben", "2")), roster.Rules{})
	p.must(p.store.View(t.Context(), func(tx *store.Tx) error {
		l, err := tx.LeaseOf("s-1")
		if l.EndedAt.IsZero() || l.Cause != "revoked" {
			t.Errorf("the lease of who left: %+v", l)
		}
		return err
	}))
}

func TestWhatASourceMayNotTouch(t *testing.T) {
	for says, row := range map[string]struct {
		before   func(p *plant)
		listing  func(p *plant) roster.Listing
		field    string
		problem  string
		standing []string
	}{
		"people of administrators": {
			before:  func(p *plant) { p.local("anna") },
			listing: func(p *plant) roster.Listing { return csv(p.person("anna", "1")) },
			field:   "id", problem: `belongs to the source "local"`, standing: []string{"1 unknown_badge"},
		},
		"people of another source": {
			before: func(p *plant) {
				p.apply(roster.Listing{Source: roster.LDAP, Fields: roster.DisplayName, People: []roster.Person{p.person("anna")}}, roster.Rules{})
			},
			listing: func(p *plant) roster.Listing { return csv(p.person("anna", "1")) },
			field:   "id", problem: `"ldap"`, standing: []string{"1 unknown_badge"},
		},
		"somebody else's badge": {
			before:  func(p *plant) { p.apply(csv(p.person("ben", "1")), roster.Rules{}) },
			listing: func(p *plant) roster.Listing { return csv(p.person("ben", "1"), p.person("anna", "1")) },
			field:   "badge", problem: "also listed for ben", standing: []string{"1 ben"},
		},
		"a badge that an administrator gave to somebody": {
			before: func(p *plant) {
				p.local("boss")
				p.give("boss", "1")
			},
			listing: func(p *plant) roster.Listing { return csv(p.person("anna", "1")) },
			field:   "badge", problem: "boss has this number", standing: []string{"1 boss"},
		},
		"a badge that was stolen": {
			before: func(p *plant) {
				p.apply(csv(p.person("anna", "1")), roster.Rules{})
				p.revoke("1", "stolen")
			},
			listing: func(p *plant) roster.Listing { return csv(p.person("anna", "1")) },
			field:   "badge", problem: "revoked (stolen)", standing: []string{"1 badge_revoked"},
		},
		"a name that drives a terminal": {
			before: func(*plant) {},
			listing: func(p *plant) roster.Listing {
				a := p.person("anna")
				a.Entry.DisplayName = "\x1b[2J"
				return csv(a)
			},
			field: "display_name", problem: "one line",
		},
		"a shift that is not there": {
			before: func(*plant) {},
			listing: func(p *plant) roster.Listing {
				a := p.person("anna")
				a.Entry.Shifts = []string{"late"}
				return csv(a)
			},
			field: "shifts", problem: `no shift "late"`,
		},
		"the same person twice": {
			before:  func(*plant) {},
			listing: func(p *plant) roster.Listing { return csv(p.person("anna", "1"), p.person("anna", "2")) },
			field:   "id", problem: "listed twice, first at at anna", standing: []string{"1 anna", "2 unknown_badge"},
		},
	} {
		t.Run(says, func(t *testing.T) {
			p := newPlant(t)
			row.before(p)
			l := row.listing(p)
			if _, err := p.writer.Apply(t.Context(), l, roster.Rules{Strict: true}); wire.KindOf(err) != wire.Invalid {
				t.Errorf("a strict listing: %v", err)
			}
			o := p.apply(l, roster.Rules{})
			if len(o.Conflicts) != 1 || o.Conflicts[0].Field != row.field || !strings.Contains(o.Conflicts[0].What, row.problem) {
				t.Errorf("got %v, want %s: %s", o.Conflicts, row.field, row.problem)
			}
			p.stands(row.standing...)
		})
	}
}

// give gives somebody a badge as an administrator does.
func (p *plant) give(id, number string) {
	p.Helper()
	b := p.person("x", number).Badges[0]
	p.update(func(tx *store.Tx) error {
		err := tx.AddBadge(store.Badge{ID: "b-" + number, Person: record.PersonID(id), Lookup: b.Lookup, Number: b.Sealed, AssignedAt: p.at})
		return errors.Join(err, tx.Changed())
	})
}

// revoke revokes a badge as an administrator does.
func (p *plant) revoke(number, reason string) {
	p.Helper()
	p.update(func(tx *store.Tx) error {
		b, err := tx.BadgeByLookup(p.person("x", number).Badges[0].Lookup)
		return errors.Join(err, tx.RevokeBadge(b.ID, reason), tx.Changed())
	})
}

func TestALostBadgeStaysLostWhateverTheSourceSays(t *testing.T) {
	p := newPlant(t)
	l := csv(p.person("anna", "1"))
	p.apply(l, roster.Rules{})
	p.update(func(tx *store.Tx) error {
		b, err := tx.BadgeByLookup(l.People[0].Badges[0].Lookup)
		return errors.Join(err, tx.LoseBadge(b.ID, p.at), tx.Changed())
	})
	if o := p.apply(l, roster.Rules{}); o.Unchanged != 1 {
		t.Errorf("got %+v", o)
	}
	p.stands("1 badge_revoked")
}

func TestANumberGoesFromOneToAnother(t *testing.T) {
	p := newPlant(t)
	p.apply(csv(p.person("anna", "1"), p.person("ben", "2"), p.person("cleo", "3")), roster.Rules{})
	p.apply(csv(p.person("anna", "2"), p.person("ben", "1", "3")), roster.Rules{})
	p.stands("1 ben", "2 anna", "3 ben")
}

func TestASourceSpeaksOfItsFieldsOnly(t *testing.T) {
	p := newPlant(t)
	a := p.person("anna", "1")
	a.Entry.Seniority = 7
	p.apply(csv(a), roster.Rules{})
	b := p.person("anna", "2")
	b.Entry.DisplayName = "Anna B."
	l := csv(b)
	l.Fields = roster.DisplayName
	p.apply(l, roster.Rules{})
	if e := p.entry("anna"); e.GetDisplayName() != "Anna B." || e.GetSeniority() != 7 || len(e.GetRoles()) != 1 {
		t.Errorf("got %v", e)
	}
	p.stands("1 anna", "2 unknown_badge")
}

func TestASuspensionIsLiftedByWhoMadeIt(t *testing.T) {
	p := newPlant(t)
	l := csv(p.person("anna"))
	p.apply(l, roster.Rules{})
	suspend := func(on bool) {
		e := p.entry("anna")
		e.Suspended = on
		p.update(func(tx *store.Tx) error {
			err := directory.Suspend(tx, e)
			_, err2 := tx.PutPerson(e)
			return errors.Join(err, err2, tx.Changed())
		})
	}
	suspend(true)
	p.apply(l, roster.Rules{})
	if !p.entry("anna").GetSuspended() {
		t.Error("a source lifted an administrator's suspension")
	}
	p.apply(csv(), roster.Rules{Force: true})
	p.apply(l, roster.Rules{})
	if e := p.entry("anna"); !e.GetSuspended() || e.GetLeftAt() != nil {
		t.Errorf("by leaving and coming back it was lifted: %v", e)
	}
	suspend(false)
	off := p.person("anna")
	off.Entry.Suspended = true
	p.apply(csv(off), roster.Rules{})
	if e := p.entry("anna"); !e.GetSuspended() || e.GetSuspendedBy() != "csv" {
		t.Errorf("got %v", e)
	}
	p.apply(l, roster.Rules{})
	if p.entry("anna").GetSuspended() {
		t.Error("a source did not lift its own suspension")
	}
}

func TestTheBrake(t *testing.T) {
	crowd := func(p *plant, n int) []roster.Person {
		var all []roster.Person
		for i := range n {
			all = append(all, p.person(fmt.Sprintf("p-%03d", i)))
		}
		return all
	}
	for says, row := range map[string]struct {
		brake        roster.Brake
		before, kept int
		held         string
	}{
		"everybody":                        {before: 3, kept: 0, held: "all 3 people"},
		"a few of a few":                   {before: 4, kept: 1},
		"more than a tenth":                {before: 50, kept: 44, held: "more than 10 %"},
		"a tenth":                          {before: 100, kept: 90},
		"more than its own limit":          {brake: roster.Brake{People: 3, Percent: 100, Free: 1}, before: 20, kept: 16, held: "more than 3"},
		"as many as its own limit":         {brake: roster.Brake{People: 3, Percent: 100, Free: 1}, before: 20, kept: 17},
		"one who is the only one may go":   {before: 1, kept: 0},
		"nobody is there and nobody comes": {before: 0, kept: 0},
	} {
		t.Run(says, func(t *testing.T) {
			p := newPlant(t)
			all := crowd(p, row.before)
			p.apply(csv(all...), roster.Rules{})
			rules := roster.Rules{Brake: row.brake}
			o, err := p.writer.Apply(t.Context(), csv(all[:row.kept]...), rules)
			var held *roster.BrakeError
			if (row.held != "") != errors.As(err, &held) || row.held != "" && !strings.Contains(o.Held, row.held) {
				t.Fatalf("got %v, held %q, want %q", err, o.Held, row.held)
			}
			if row.held == "" {
				return
			}
			if p.entry("p-000").GetSuspended() || p.entry(record.PersonID(fmt.Sprintf("p-%03d", row.before-1))).GetSuspended() {
				t.Error("it wrote although the brake held")
			}
			rules.Force = true
			if o := p.apply(csv(all[:row.kept]...), rules); o.Left != row.before-row.kept {
				t.Errorf("forced: %+v", o)
			}
		})
	}
}

func TestSuspensionsCountForTheBrake(t *testing.T) {
	p := newPlant(t)
	a, b := p.person("anna"), p.person("ben")
	p.apply(csv(a, b), roster.Rules{})
	a.Entry.Suspended, b.Entry.Suspended = true, true
	var held *roster.BrakeError
	if _, err := p.writer.Apply(t.Context(), csv(a, b), roster.Rules{}); !errors.As(err, &held) {
		t.Errorf("got %v", err)
	}
}

func TestNewsOfSomeTouchesNobodyElse(t *testing.T) {
	p := newPlant(t)
	p.apply(csv(p.person("anna", "1"), p.person("ben", "2"), p.person("cleo", "3")), roster.Rules{})
	p.local("boss")
	news := roster.Listing{Source: roster.CSV, Fields: everything, People: []roster.Person{p.person("dora", "4")}, Gone: []record.PersonID{"ben", "boss", "nobody"}}
	if o := p.apply(news, roster.Rules{}); counts(o) != [4]int{1, 0, 0, 1} {
		t.Errorf("got %+v", o)
	}
	p.stands("1 anna", "2 badge_revoked", "3 cleo", "4 dora")
}

func TestADryRunChangesNothing(t *testing.T) {
	p := newPlant(t)
	if o := p.apply(csv(p.person("anna", "1")), roster.Rules{DryRun: true}); o.Added != 1 {
		t.Errorf("got %+v", o)
	}
	p.stands("1 unknown_badge")
}

func TestEachPersonThatChangesIsARecord(t *testing.T) {
	p := newPlant(t)
	count := func() (n uint64) {
		p.must(p.store.View(t.Context(), func(tx *store.Tx) (err error) {
			n, err = tx.LastCursor()
			return err
		}))
		return n
	}
	before := count()
	p.apply(csv(p.person("anna", "1"), p.person("ben")), roster.Rules{Method: "ImportDirectory", Actor: "olga"})
	if n := count() - before; n != 3 {
		t.Errorf("%d records, want one for each and one for the listing", n)
	}
	p.apply(csv(p.person("anna", "1"), p.person("ben")), roster.Rules{})
	if n := count() - before; n != 3 {
		t.Errorf("%d records after a listing that changes nothing", n)
	}
}

// What was accepted goes, and nothing once somebody else's change has made another difference of it.
func TestTheBrakeLetsGoWhatWasAcceptedAlone(t *testing.T) {
	p := newPlant(t)
	p.apply(csv(p.person("anna"), p.person("ben")), roster.Rules{})
	between := func() {
		p.update(func(tx *store.Tx) error {
			cleo := p.person("cleo").Entry
			cleo.Source = string(roster.CSV)
			_, err := tx.PutPerson(cleo)
			return errors.Join(err, tx.Changed())
		})
	}
	rules := roster.Rules{Accept: func(changes []roster.Change) bool {
		if between != nil { // this comparison is stale before it is written
			between()
			between = nil
		}
		return len(changes) == 2
	}}
	var held *roster.BrakeError
	if _, err := p.writer.Apply(t.Context(), csv(), rules); !errors.As(err, &held) || p.entry("anna").GetSuspended() {
		t.Errorf("three went where two were accepted: %v", err)
	}
	p.apply(csv(p.person("cleo")), roster.Rules{Accept: func(c []roster.Change) bool { return len(c) == 2 }, Brake: roster.Brake{People: 1, Percent: 100, Free: 1}})
	if e := p.entry("anna"); !e.GetSuspended() && e.GetLeftAt() == nil {
		t.Error("what was accepted did not go")
	}
}
