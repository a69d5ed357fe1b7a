package policy

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"

	taplinev1 "tapline/proto/tapline/v1"
)

// rules is one of each kind of rule, for properties over random questions.
const rules = `
	@id("pin-fresh") @refusal("pin-needed") forbid (principal, action == Action::"openSession", resource in Zone::"cold") unless { context.pin || context.pinFresh };
	@id("one-station") @refusal("elsewhere") forbid (principal, action == Action::"openSession", resource) when { context.elsewhere && !context.approved };
	@id("follow") permit (principal in Role::"operator", action == Action::"moveSession", resource);
	@id("no-junior-over-senior") forbid (principal, action == Action::"openSession", resource)
	when { context has occupant && context.occupant.seniority > principal.seniority };
	@id("office-hours") forbid (principal in Role::"visitor", action, resource) when { context.minuteOfDay < 480 };
	@id("who-approves") forbid (principal, action == Action::"openSession", resource) when { context has approver && !(context.approver in Role::"supervisor") };
	@id("busy") forbid (principal, action == Action::"openSession", resource) when { context.accountHeld > 2 };
	@id("safety") permit (principal, action, resource) when { resource.zone.safety };`

// question is a random request.
func question(rnd *rand.Rand) Request {
	pick := func(all ...string) []string {
		var some []string
		for _, one := range all {
			if rnd.IntN(2) == 0 {
				some = append(some, one)
			}
		}
		return some
	}
	yes := func() bool { return rnd.IntN(2) == 0 }
	at := monday().Add(time.Duration(rnd.IntN(minutesOfWeek)) * time.Minute)
	person := func(id string) *taplinev1.PersonEntry {
		return subject{
			id, pick("operator", "visitor", "supervisor"), pick("early", "late"), pick("press", "crane"), uint32(rnd.IntN(4)), rnd.IntN(5) == 0,
		}.entry()
	}
	r := Request{
		Action: OpenSession, Person: person("anna"),
		Station: &taplinev1.Station{
			Id: "plant/press/line-4/hmi-1", Account: "press-hmi", Zone: []string{"", "hot", "cold"}[rnd.IntN(3)], Mode: taplinev1.Mode(rnd.IntN(5)),
			RequiresCertifications: pick("press"), RequiresAssurance: taplinev1.Assurance(rnd.IntN(3)),
		},
		Tap: Tap{
			Assurance: taplinev1.Assurance(rnd.IntN(5)), PIN: yes(), PINFresh: yes(), Approved: yes(), OffShift: yes(), Elsewhere: pick("a/b/c/d"),
			AccountHeld: rnd.IntN(4), At: at,
		},
	}
	if yes() {
		r.Tap.LastHere = at.Add(-time.Duration(rnd.IntN(120)) * time.Minute)
	}
	if yes() {
		r.Tap.Occupant = person("ben")
	}
	if r.Tap.Approved && yes() {
		r.Tap.Approver = person("eve")
	}
	if yes() && r.Station.GetZone() != "" {
		r.Zone = &taplinev1.Zone{
			Id: r.Station.GetZone(), Safety: rnd.IntN(4) == 0, Mode: taplinev1.Mode(rnd.IntN(5)), RequiresAssurance: taplinev1.Assurance(rnd.IntN(3)),
			RequiresCertifications: pick("crane"), Pin: &taplinev1.PinRules{
				Always: rnd.IntN(4) == 0, FirstOfShift: yes(), WeakBelow: taplinev1.Assurance(rnd.IntN(3)),
				AfterIdle: durationpb.New(time.Duration(rnd.IntN(3)) * time.Hour),
			},
		}
	}
	return r
}

func TestAQuestionThatWasKeptGetsTheSameAnswer(t *testing.T) {
	set, rnd := load(t, Default()+rules), rand.New(rand.NewPCG(3, 4))
	allowed := 0
	for range 2000 {
		r := question(rnd)
		kept, err := r.Facts()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ReadFacts(kept)
		if err != nil {
			t.Fatal(err)
		}
		want := set.Admit(r)
		if d := cmp.Diff(want, set.Admit(again)); d != "" {
			t.Fatalf("%s: %s", kept, d)
		}
		if want.Allowed {
			allowed++
		}
	}
	if allowed < 50 || allowed > 1950 {
		t.Errorf("%d of 2000 allowed: the questions show nothing", allowed)
	}
}

func TestWhatIsExplainedIsWhatIsDecidedAndRemediesHelp(t *testing.T) {
	set, rnd := load(t, Default()+rules), rand.New(rand.NewPCG(5, 6))
	helped := 0
	for range 500 {
		r := question(rnd)
		e := set.Explain(r)
		if d := cmp.Diff(set.Admit(r), e.Decision); d != "" || len(e.Notes) < 3 {
			t.Fatalf("explained %v: %s", e.Notes, d)
		}
		if e.Allowed && len(e.Remedies) > 0 {
			t.Fatalf("allowed, and still: %v", e.Remedies)
		}
		helped += len(e.Remedies)
		if strings.Contains(strings.Join(e.Remedies, " "), "a PIN it would") {
			r.Tap.PIN = true
			if !set.Admit(r).Allowed {
				t.Fatalf("a PIN does not help: %v", e.Remedies)
			}
		}
	}
	if helped == 0 {
		t.Error("no remedy was ever found")
	}
}

func TestWhatWouldHelp(t *testing.T) {
	set := load(t, Default())
	r := Request{Person: anna(), Station: hmi(), Zone: &taplinev1.Zone{Id: "hot", Pin: &taplinev1.PinRules{Always: true}}, Tap: Tap{At: monday()}}
	want := []string{"With a PIN it would be allowed, by known-people."}
	if d := cmp.Diff(want, set.Explain(r).Remedies); d != "" {
		t.Error(d)
	}
	r.Station.RequiresAssurance = taplinev1.Assurance_ASSURANCE_SYMMETRIC_PROOF
	want = []string{"With a PIN and a badge of assurance 3 (symmetric proof) it would be allowed, by known-people."}
	if d := cmp.Diff(want, set.Explain(r).Remedies[:1]); d != "" {
		t.Error(d)
	}
	r.Person.Suspended, r.Tap.OffShift = true, true
	if e := set.Explain(r); len(e.Remedies) > 0 {
		t.Errorf("four things are wrong, and still: %v", e.Remedies)
	}
}

func TestRulesOfAZoneThatNothingHeedsAreNamed(t *testing.T) {
	r := Request{Person: anna(), Station: hmi(), Zone: &taplinev1.Zone{Id: "hot", Pin: &taplinev1.PinRules{Always: true}}, Tap: Tap{At: monday()}}
	heedless := strings.Join(load(t, `@id("all") permit (principal, action, resource);`).Explain(r).Notes, "\n")
	heeding := strings.Join(load(t, Default()).Explain(r).Notes, "\n")
	if !strings.Contains(heedless, "have no effect") || strings.Contains(heeding, "have no effect") {
		t.Errorf("without a rule: %s\nwith one: %s", heedless, heeding)
	}
}

func TestWhoseApprovalWouldHelp(t *testing.T) {
	set := load(t, Default()+`@id("two") @refusal("approval-needed") forbid (principal, action == Action::"openSession", resource)
		unless { context has approver && context.approver in Role::"chief" };`)
	want := []string{"With the approval of somebody with the role chief it would be allowed, by known-people."}
	if d := cmp.Diff(want, set.Explain(Request{Person: anna(), Station: hmi(), Tap: Tap{At: monday()}}).Remedies); d != "" {
		t.Error(d)
	}
}

func TestStrangeSetsAreNamed(t *testing.T) {
	for _, row := range []struct{ says, text, want string }{
		{"the default set is not strange", Default(), ""},
		{"a rule twice", `@id("a") permit (principal, action, resource); @id("b") permit (principal, action, resource);`, "1:48: b: it says the same as a"},
		{
			"a permit and a forbid of the same", `@id("a") permit (principal, action, resource) when { context.pin };
			@id("b") forbid (principal, action, resource) when { context.pin };`, "1:1: a: it permits exactly what b forbids, so it permits nothing",
		},
		{
			"a permit within a forbid", `@id("ok") permit (principal, action, resource);
			@id("a") permit (principal, action == Action::"openSession", resource in Zone::"x") when { context.pin };
			@id("b") forbid (principal, action, resource in Zone::"x");`, "2:4: a: it never permits anything: b forbids all of it",
		},
		{"a refusal that is never told", `@id("a") @refusal("shift") permit (principal, action, resource);`, "1:1: a: @refusal on a permit is never told to anybody"},
		{"nobody may work", `@id("a") permit (principal, action == Action::"workOffline", resource);`, "no rule permits openSession: nobody could work"},
	} {
		t.Run(row.says, func(t *testing.T) {
			if got := strings.Join(load(t, row.text).Strange().Strings(), "\n"); got != row.want {
				t.Errorf("got %s\nwant %s", got, row.want)
			}
		})
	}
}

func TestAPermitThatWasNotMeantForItEndsNobodysSession(t *testing.T) {
	set := load(t, `@id("all") permit (principal, action, resource);`)
	r := Request{Person: anna(), Station: hmi(), Tap: Tap{At: monday()}}
	if set.Displace(r, &taplinev1.PersonEntry{Id: "ben"}).Allowed {
		t.Error("displaces")
	}
	r.Action = MoveSession
	if set.Decide(r).Allowed {
		t.Error("moves")
	}
}

func TestASetThatDoesNotLoadRefusesEverything(t *testing.T) {
	d := Broken("0123456789ab", "it does not load").Admit(Request{Person: anna(), Station: hmi(), Tap: Tap{At: monday()}})
	if d.Allowed || d.Refusal != taplinev1.RefusalCause_REFUSAL_CAUSE_POLICY_ERROR || len(d.Errors) != 1 || d.Version != "0123456789ab" {
		t.Errorf("got %+v", d)
	}
}

// FuzzFacts holds that no stored facts make a replay panic.
func FuzzFacts(f *testing.F) {
	kept, err := question(rand.New(rand.NewPCG(1, 1))).Facts()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(kept)
	f.Add([]byte(`{"station":{"id":"","mode":99,"assurance":-1}}`))
	set := load(f, Default()+rules)
	f.Fuzz(func(_ *testing.T, kept []byte) {
		if r, err := ReadFacts(kept); err == nil {
			set.Explain(r)
		}
	})
}

func BenchmarkExplain(b *testing.B) {
	set, rnd := load(b, Default()+rules), rand.New(rand.NewPCG(7, 8))
	for b.Loop() {
		set.Explain(question(rnd))
	}
}
