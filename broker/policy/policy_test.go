package policy

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cedar-policy/cedar-go"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	taplinev1 "tapline/proto/tapline/v1"
)

func load(t testing.TB, text string) *Set {
	t.Helper()
	s, err := Load(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// monday is a Monday at 06:30 UTC.
func monday() time.Time { return time.Date(2026, 3, 2, 6, 30, 0, 0, time.UTC) }

func anna() *taplinev1.PersonEntry {
	return &taplinev1.PersonEntry{Id: "anna", Roles: []string{"operator"}, Certifications: []*taplinev1.Certification{
		{Name: "press"}, {Name: "crane", NotAfter: timestamppb.New(monday())},
	}}
}

func hmi() *taplinev1.Station {
	return &taplinev1.Station{Id: "plant/press/line-4/hmi-1", Zone: "hot", Account: "press-hmi"}
}

func TestTheDefaultSet(t *testing.T) {
	set := load(t, Default())
	for _, row := range []struct {
		says string
		with func(*Request)
		want taplinev1.RefusalCause
		by   string
	}{
		{"whoever the directory knows may work", func(*Request) {}, 0, "known-people"},
		{"a suspended person may not", func(r *Request) { r.Person.Suspended = true }, taplinev1.RefusalCause_REFUSAL_CAUSE_PERSON_INACTIVE, "suspended"},
		{
			"a certification that the person has is enough", func(r *Request) { r.Station.RequiresCertifications = []string{"press"} },
			0, "known-people",
		},
		{
			"a certification that lapses this very moment is none", func(r *Request) { r.Station.RequiresCertifications = []string{"crane"} },
			taplinev1.RefusalCause_REFUSAL_CAUSE_CERTIFICATION, "certifications",
		},
		{
			"a badge that is too easy to copy is refused", func(r *Request) { r.Station.RequiresAssurance = taplinev1.Assurance_ASSURANCE_CHIP_UID },
			taplinev1.RefusalCause_REFUSAL_CAUSE_ASSURANCE, "assurance",
		},
		{
			"of two reasons the person is told the one they can do least about", func(r *Request) {
				r.Person.Suspended = true
				r.Station.RequiresAssurance = taplinev1.Assurance_ASSURANCE_CHIP_UID
			}, taplinev1.RefusalCause_REFUSAL_CAUSE_PERSON_INACTIVE, "assurance, suspended",
		},
		{
			"an operator is not essential", func(r *Request) { r.Action = WorkOffline },
			taplinev1.RefusalCause_REFUSAL_CAUSE_POLICY, "",
		},
		{"a supervisor is", func(r *Request) { r.Action, r.Person.Roles = WorkOffline, []string{"supervisor"} }, 0, "essential-roles"},
	} {
		t.Run(row.says, func(t *testing.T) {
			r := Request{Action: OpenSession, Person: anna(), Station: hmi(), Tap: Tap{At: monday()}}
			row.with(&r)
			d := set.Decide(r)
			if d.Allowed != (row.want == 0) || d.Refusal != row.want || strings.Join(d.Rules, ", ") != row.by || len(d.Errors) > 0 {
				t.Errorf("got %+v, want %s by %q", d, row.want, row.by)
			}
			if d.Version != set.Version() || len(d.Version) != 12 {
				t.Errorf("version %q", d.Version)
			}
		})
	}
}

func TestARuleThatErrsDeniesWhateverOthersSay(t *testing.T) {
	// Arithmetic can overflow in a set that validates: Cedar then passes over the rule, be it the one that forbids.
	for _, effect := range []string{"permit", "forbid"} {
		set := load(t, fmt.Sprintf(`@id("all") permit (principal, action, resource);
			@id("bad") %s (principal, action, resource) when { principal.seniority + 9223372036854775807 > 0 };`, effect))
		r := Request{Action: OpenSession, Person: anna(), Station: hmi(), Tap: Tap{At: monday()}}
		r.Person.Seniority = 1
		d := set.Decide(r)
		if d.Allowed || d.Refusal != taplinev1.RefusalCause_REFUSAL_CAUSE_POLICY_ERROR || len(d.Errors) != 1 ||
			!strings.HasPrefix(d.Errors[0], "bad: ") {
			t.Errorf("%s: got %+v", effect, d)
		}
	}
}

func TestSetsThatDoNotLoad(t *testing.T) {
	for _, row := range []struct{ says, text, want string }{
		{"nothing at all", ``, "no policy"},
		{"not Cedar", `permit everything`, "1:18: not Cedar"},
		{"an attribute that nobody has", `@id("p") permit (principal, action, resource) when { principal.disabledd };`, "disabledd"},
		{"an action that there is not", `@id("p") permit (principal, action == Action::"fly", resource);`, "fly"},
		{"no @id", `permit (principal, action, resource);`, "1:1: policy0: it has no @id"},
		{"a clock that is reckoned with", `@id("p") permit (principal, action, resource) when { context.minuteOfDay + 5 < 10 };`, "1:54: p: compare"},
		{"the context as a whole", `@id("p") permit (principal, action, resource) when { context == context };`, "by its attributes"},
		{"a comparison of two kinds", `@id("p") permit (principal, action, resource) when { principal.seniority == "old" };`, ""},
		{"a scope that cannot be", `@id("p") permit (principal in Zone::"hot", action, resource);`, ""},
		{"a refusal that no panel knows", `@refusal("because") forbid (principal, action, resource);`, "because"},
		{"two rules of one name", `@id("a") permit (principal, action, resource); @id("a") permit (principal, action, resource);`, "two policies"},
		{"a name that no record takes", `@id("a b") permit (principal, action, resource);`, "@id"},
		{"too long", strings.Repeat("// x\n", MaxText/5+1), "limit"},
	} {
		t.Run(row.says, func(t *testing.T) {
			_, err := Load(row.text)
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want it to name %q", err, row.want)
			}
		})
	}
	_, err := Load(`@refusal("x") permit (principal, action, resource) when { principal.disabledd };
		permit (principal, action == Action::"fly", resource);`)
	if faults, ok := errors.AsType[Faults](err); !ok || len(faults) < 3 {
		t.Errorf("not every fault is listed: %v", err)
	}
}

// linear decides without slices: every policy is looked at.
func linear(s *Set, r Request) cedar.Decision {
	whole := slice{}
	for _, part := range []map[string]slice{{"": s.general}, s.zones, s.stations} {
		for _, one := range part {
			for id, p := range one {
				whole[id] = p
			}
		}
	}
	d, _ := cedar.Authorize(union{slices: [3]slice{whole}}, r.entities(r.Tap.At), r.cedarRequest(r.clock()))
	return d
}

func TestSlicingChangesNoDecision(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	scopes := []string{
		`resource`, `resource in Zone::"hot"`, `resource in Zone::"cold"`, `resource == Station::"plant/press/line-4/hmi-1"`,
		`resource in Place::"plant/press"`, `resource is Station in Zone::"hot"`, `resource is Station`, `resource == Station::"plant/a/b/c"`,
	}
	for range 300 {
		var text strings.Builder
		for i := range 1 + rnd.IntN(6) {
			effect := []string{"permit", "forbid", "permit"}[rnd.IntN(3)]
			fmt.Fprintf(&text, "@id(\"r%d\") %s (principal, action, %s) when { context.assurance >= %d };\n", i, effect, scopes[rnd.IntN(len(scopes))], rnd.IntN(3))
		}
		set := load(t, text.String())
		r := Request{Action: OpenSession, Person: anna(), Station: hmi(), Tap: Tap{At: monday(), Assurance: taplinev1.Assurance(rnd.IntN(3))}}
		r.Station.Zone = []string{"", "hot", "cold"}[rnd.IntN(3)]
		if got, want := set.Decide(r).Allowed, linear(set, r) == cedar.Allow; got != want {
			t.Fatalf("sliced %v, whole %v, zone %q:\n%s", got, want, r.Station.Zone, text.String())
		}
	}
}

func TestTimeIsWorkedOutForCedar(t *testing.T) {
	set := load(t, `@id("early") permit (principal, action, resource)
		when { context.minuteOfDay == 390 && context.minuteOfWeek == 390 };`)
	r := Request{Action: OpenSession, Person: anna(), Station: hmi(), Tap: Tap{At: monday().In(time.FixedZone("CET", 3600))}}
	if d := set.Decide(r); !d.Allowed {
		t.Errorf("Monday 06:30 UTC: %+v", d)
	}
	if d := cmp.Diff([]string{"press"}, ValidCertifications(anna(), monday())); d != "" {
		t.Error(d)
	}
}

// FuzzLoad holds that no text makes Load panic, and that what loads decides without a panic.
func FuzzLoad(f *testing.F) {
	f.Add(Default())
	f.Add(`@id("p") permit (principal, action, resource) when { context.assurance < 2 };`)
	f.Fuzz(func(t *testing.T, text string) {
		if set, err := Load(text); err == nil {
			set.Decide(Request{Action: OpenSession, Person: anna(), Station: hmi(), Tap: Tap{At: monday()}})
		}
	})
}

// BenchmarkDecide measures a decision in a zone with many rules of its own, beside nine other zones with as many.
func BenchmarkDecide(b *testing.B) {
	for _, rules := range []int{10, 100, 500} {
		var text strings.Builder
		text.WriteString(Default())
		for zone := range 10 {
			for i := range rules {
				fmt.Fprintf(&text, "@id(\"z%d.r%d\") forbid (principal, action, resource in Zone::\"z%d\") when { context.assurance < %d && principal in Role::\"r%d\" };\n",
					zone, i, zone, i%4, i)
			}
		}
		set := load(b, text.String())
		r := Request{Action: OpenSession, Person: anna(), Station: hmi(), Tap: Tap{At: monday(), Assurance: 4}}
		r.Station.Zone = "z1"
		b.Run(fmt.Sprintf("%d-rules-in-the-zone", rules), func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				if !set.Decide(r).Allowed {
					b.Fatal("refused")
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1000, "p50-us")
			b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1000, "p99-us")
		})
	}
}

// BenchmarkForecast measures what a bundle costs: a thousand people of twenty kinds at one station.
func BenchmarkForecast(b *testing.B) {
	set := load(b, Default()+rules)
	for b.Loop() {
		f := NewForecaster(set)
		for i := range 1000 {
			p := subject{ID: fmt.Sprint(i), Roles: []string{"operator", fmt.Sprint("r", i%20)}}.entry()
			f.Phase(Request{Person: p, Station: hmi()}, monday())
		}
	}
}
