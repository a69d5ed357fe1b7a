package offlinelaw

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/agent/offline"
	"tapline/broker/bundle"
	"tapline/broker/directory"
	"tapline/broker/facts"
	"tapline/broker/identity"
	"tapline/broker/policy"
	"tapline/broker/rulebook"
	"tapline/broker/store"
	"tapline/broker/vault"
	"tapline/proto/grant"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
)

const press = record.StationID("plant/press/line-4/hmi-1")

// extras are rules of which each world has some beside the default ones.
var extras = []string{
	`@id("nights") forbid (principal in Role::"visitor", action == Action::"openSession", resource) when { context.minuteOfDay < 330 || context.minuteOfDay >= 1200 };`,
	`@id("weekend") @refusal("shift") forbid (principal, action, resource in Zone::"hot") unless { context.minuteOfWeek < 7200 || principal in Role::"supervisor" };`,
	`@id("fresh") @refusal("pin-needed") forbid (principal, action == Action::"openSession", resource) unless { context.pin || context.pinFresh };`,
	`@id("crane-or-strong") forbid (principal, action == Action::"openSession", resource) unless { principal.certifications.contains("crane") || context.assurance > 2 };`,
	`@id("not-p2") forbid (principal == Person::"p-2", action, resource);`,
	`@id("only-press") forbid (principal, action, resource) unless { resource in Place::"plant/press" };`,
	`@id("lapsed-are-welcome") permit (principal, action, resource) unless { principal.certifications.contains("press") };`,
	`@id("off-shift-with-pin") @refusal("approval-needed") forbid (principal, action, resource) when { !context.inShift && !context.approved };`,
	`@id("lead-approves") @refusal("approval-needed") forbid (principal in Role::"operator", action == Action::"openSession", resource) unless { context has approver && context.approver in Role::"supervisor" };`,
	`@id("never-alone") @refusal("second-person-needed") forbid (principal, action == Action::"openSession", resource in Zone::"hot") unless { context.approved };`,
	`@id("not-by-juniors") forbid (principal, action == Action::"openSession", resource) when { context has approver && context.approver.seniority < principal.seniority };`,
	`@id("certified-approver") forbid (principal, action == Action::"openSession", resource) when { context has approver && !context.approver.certifications.contains("press") };`,
	`@id("seniors") forbid (principal, action == Action::"openSession", resource) when { principal.seniority < 1 && context.assurance < 1 };`,
}

// world is a broker's parts, a station's keeper, and a clock.
type world struct {
	testing.TB
	rnd    *rand.Rand
	maker  *bundle.Maker
	keeper *offline.Keeper
	key    []byte
	at     time.Time
	people int
	set    *policy.Set
	zone   *taplinev1.Zone
}

func newWorld(t testing.TB, seed uint64) *world {
	t.Helper()
	w := &world{TB: t, rnd: rand.New(rand.NewPCG(seed, 99)), at: time.Date(2026, 10, 22, 5, 30, 0, 0, time.UTC), people: 6} // clocks go back on the 25th
	s, err := store.OpenSQLite(t.TempDir())
	w.must(err)
	t.Cleanup(func() { w.must(s.Close()) })
	w.must(s.Migrate(t.Context()))
	v, err := vault.New(make([]byte, vault.KeySize))
	w.must(err)
	evidence, err := identity.LoadEvidence(t.Context(), s, v, w.at)
	w.must(err)
	site, err := identity.LoadSiteKey(t.Context(), s, v, w.at)
	w.must(err)
	w.maker = &bundle.Maker{
		Store: s, Directory: directory.Directory{Vault: v}, Rules: &rulebook.Book{}, Evidence: evidence, SiteKey: site, Now: func() time.Time { return w.at },
	}
	w.key, err = grant.StationKey(site, press)
	w.must(err)
	w.keeper, err = offline.Open(offline.Config{Dir: t.TempDir(), Station: press, Evidence: evidence.Public()})
	w.must(err)
	w.furnish()
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) update(do func(*store.Tx) error) {
	w.Helper()
	w.must(w.maker.Store.Update(w.Context(), func(tx *store.Tx) error { return errors.Join(do(tx), tx.Changed()) }))
}

func (w *world) yes() bool { return w.rnd.IntN(2) == 0 }

func (w *world) some(all ...string) []string {
	var picked []string
	for _, one := range all {
		if w.yes() {
			picked = append(picked, one)
		}
	}
	return picked
}

func (w *world) hours(most int) *durationpb.Duration {
	return durationpb.New(time.Duration(w.rnd.IntN(most)) * time.Hour)
}

// furnish puts everything into the world.
func (w *world) furnish() {
	w.Helper()
	var more []string
	for _, rule := range extras {
		if w.rnd.IntN(4) == 0 {
			more = append(more, rule)
		}
	}
	set, err := policy.Load(policy.Default() + strings.Join(more, "\n"))
	w.must(err)
	w.set = set
	w.zone = &taplinev1.Zone{
		Id: "hot", Safety: w.yes(), RequiresAssurance: taplinev1.Assurance(w.rnd.IntN(2)), RequiresCertifications: w.some("press"),
		Pin: &taplinev1.PinRules{FirstOfShift: w.yes(), WeakBelow: taplinev1.Assurance(w.rnd.IntN(3)), AfterIdle: w.hours(3)}, Longest: w.hours(20),
	}
	if w.yes() {
		everybody := w.rnd.IntN(100)
		w.zone.Offline = &taplinev1.OfflineTiers{
			Everybody: durationpb.New(time.Duration(everybody) * time.Hour), Essential: durationpb.New(time.Duration(everybody+w.rnd.IntN(300)) * time.Hour),
		}
	}
	zone := "hot"
	if w.rnd.IntN(4) == 0 {
		zone, w.zone = "", &taplinev1.Zone{Id: "hot"}
	}
	w.update(func(tx *store.Tx) error {
		_, err := tx.PutZone(w.zone)
		_, err2 := tx.PutStation(&taplinev1.Station{Id: string(press), Zone: zone, Account: "press", RequiresCertifications: w.some("crane")})
		return errors.Join(err, err2, rulebook.Put(tx, set, "test", "", w.at),
			tx.SetStationState(press, taplinev1.StationState_STATION_STATE_ENROLLED, ""))
	})
	for id, windows := range map[string]*taplinev1.ShiftWindow{
		"early": {Days: []uint32{1, 2, 3, 4, 5}, Begin: 360, End: 840}, "late": {Days: []uint32{1, 2, 3, 4, 5}, Begin: 840, End: 1320},
		"night": {Days: []uint32{1, 2, 3, 4, 5, 6, 7}, Begin: 1320, End: 360},
	} {
		w.update(func(tx *store.Tx) error {
			_, err := tx.PutShift(&taplinev1.Shift{Id: id, TimeZone: "Europe/Berlin", Windows: []*taplinev1.ShiftWindow{windows}})
			return err
		})
	}
	for i := range w.people {
		w.hire(i)
	}
}

// shifts are some shifts for a person; mostly none, which means always. One of them is not there.
func (w *world) shifts() []string {
	if w.rnd.IntN(3) > 0 {
		return nil
	}
	return w.some("early", "late", "night", "gone")
}

func number(i int) []byte { return fmt.Appendf(nil, "uid\x0032\x00%04d", i) }

func (w *world) hire(i int) {
	w.Helper()
	id := record.PersonID(fmt.Sprintf("p-%d", i))
	p := &taplinev1.PersonEntry{
		Id: string(id), DisplayName: string(id), Roles: w.some("operator", "visitor", "supervisor"), Shifts: w.shifts(),
		Seniority: uint32(w.rnd.IntN(3)), Suspended: w.rnd.IntN(8) == 0,
	}
	for _, name := range w.some("press", "crane", "forklift") {
		c := &taplinev1.Certification{Name: name}
		if w.yes() {
			c.NotAfter = timestamppb.New(w.at.Add(time.Duration(w.rnd.IntN(200)-10) * time.Hour))
		}
		p.Certifications = append(p.Certifications, c)
	}
	proof, err := w.maker.Directory.ReadProof("badge", &taplinev1.BadgeProof{Number: number(i)})
	w.must(err)
	b := store.Badge{ID: "b-" + string(id), Person: id, Lookup: proof.Lookup, Number: proof.Sealed, AssignedAt: w.at}
	if w.rnd.IntN(4) == 0 {
		b.NotAfter = w.at.Add(time.Duration(w.rnd.IntN(200)) * time.Hour)
	}
	w.update(func(tx *store.Tx) error {
		_, err := tx.PutPerson(p)
		return errors.Join(err, tx.AddBadge(b), tx.PutPIN(id, "$argon2id$", w.at))
	})
}

// fetch takes the current bundle to the station.
func (w *world) fetch() store.Bundle {
	w.Helper()
	b, err := w.maker.Current(w.Context(), press)
	w.must(err)
	w.must(w.keeper.Take(b.Envelope))
	return b
}

// online is what the broker would say, and what it knew.
type online struct {
	refusal string // empty for a permission
	rules   []string
	known   facts.Known
	pinAt   time.Time // when the person last gave a good PIN at the station
}

// nobody is no second badge.
const nobody = -1

// ask asks the broker about a tap, without a trace. second is the badge of a second person.
func (w *world) ask(badge, second int, assurance taplinev1.Assurance, pin bool) online {
	w.Helper()
	var o online
	w.must(w.maker.Store.View(w.Context(), func(tx *store.Tx) error {
		proof, err := w.maker.Directory.ReadProof("badge", &taplinev1.BadgeProof{Number: number(badge)})
		if err != nil {
			return err
		}
		h, cause, err := w.maker.Directory.Holder(tx, proof.Lookup, w.at)
		if err != nil || cause != 0 {
			o.refusal = policy.RefusalWord(cause)
			return err
		}
		s, err := tx.Station(press)
		if err != nil {
			return err
		}
		approver, err := w.approver(tx, second, h.Person)
		if err != nil {
			return err
		}
		o.known, err = facts.Collect(tx, w.maker.Rules, facts.Tap{
			Action: policy.OpenSession, Person: h.Person, Station: s.Entry, Account: "press", Assurance: assurance, PIN: pin, Approver: approver, At: w.at,
		})
		d := w.set.Admit(o.known.Request)
		o.refusal, o.rules = policy.RefusalWord(d.Refusal), d.Rules
		pinAt, err2 := tx.LastPIN(record.PersonID(h.Person.GetId()), press)
		o.pinAt = pinAt
		return errors.Join(err, err2)
	}))
	return o
}

// approver is the second person as the broker's desk finds them; nil for none who counts.
func (w *world) approver(tx *store.Tx, second int, p *taplinev1.PersonEntry) (*taplinev1.PersonEntry, error) {
	if second == nobody {
		return nil, nil //nolint:nilnil // nobody came
	}
	proof, err := w.maker.Directory.ReadProof("approver", &taplinev1.BadgeProof{Number: number(second)})
	if err != nil {
		return nil, err
	}
	h, cause, err := w.maker.Directory.Holder(tx, proof.Lookup, w.at)
	if err != nil || cause != 0 || h.Person.GetId() == p.GetId() {
		return nil, err
	}
	return h.Person, nil
}

func (w *world) alone(badge, second int, o online, assurance taplinev1.Assurance, pin bool) offline.Verdict {
	var by record.BadgeRef
	if second != nobody {
		by = grant.Ref(w.key, number(second))
	}
	return w.keeper.Decide(offline.Ask{
		Badge: grant.Ref(w.key, number(badge)), Second: by, Assurance: uint8(assurance), PIN: pin, Past: offline.Past{PINAt: o.pinAt, LastHere: o.known.Tap.LastHere},
	}, w.at)
}

// rounds is how many worlds a suite looks at.
func rounds(quick, full int) int {
	if s := os.Getenv("TAPLINE_SUITE"); s == "full" || s == "long" {
		return full
	}
	return quick
}
