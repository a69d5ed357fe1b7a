package policy

import (
	"strings"
	"testing"
	"time"
)

const cases = `
people:
  anna: {roles: [operator], certifications: [press], seniority: 3}
  ben: {roles: [shift-lead]}
zones:
  hot: {requires_assurance: 1, pin: {first_of_shift: true, after_idle: 1h}}
stations:
  plant/press/line-4/hmi-1: {zone: hot, requires_certifications: [press], mode: gate}
allow:
  - {person: anna, station: plant/press/line-4/hmi-1, assurance: 1, pin: true, by: [known-people]}
  - {person: anna, station: plant/press/line-4/hmi-1, assurance: 1, pin_fresh: true, away: 30m, at: 2026-11-25T06:30:00Z}
  - {name: a lead works on when the broker is away, action: workOffline, person: ben, station: plant/press/line-4/hmi-1}
deny:
  - {person: anna, station: plant/press/line-4/hmi-1, assurance: 1, because: pin-needed, by: [pin]}
  - {person: ben, station: plant/press/line-4/hmi-1, assurance: 1, pin: true, because: certification}
  - {action: displaceSession, person: anna, holder: ben, station: plant/press/line-4/hmi-1}
`

func TestCasesComeOutAsTheyMust(t *testing.T) {
	c, err := ReadCases([]byte(cases))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range load(t, Default()).Try(c) {
		if !o.OK {
			t.Errorf("%s %d (%s): %s", o.List, o.Number, o.Name, o.Problem)
		}
	}
	failed := 0
	for _, o := range load(t, `@id("a") permit (principal, action, resource);`).Try(c) {
		if !o.OK {
			failed++
		}
	}
	if failed != 3 { // the two that have to be denied, and the one that names a rule; it displaces nobody

		t.Errorf("%d cases failed under a permit for everything, want 3", failed)
	}
}

func TestCasesThatMakeNoSense(t *testing.T) {
	const world = "people: {anna: {}}\nstations: {a/b/c/d: {}}\n"
	for _, row := range []struct{ says, text, want string }{
		{"a key that there is not", "peeple: {}", "[1:1] unknown field"},
		{"a person who is not there", world + "allow: [{person: ben, station: a/b/c/d}]", `allow: case 1: person: "ben" is not among the people`},
		{"a station that is not there", world + "deny: [{person: anna, station: x}]", `deny: case 1: station: "x"`},
		{"a station that can be none", "stations: {x: {}}", "not site/area/line/station"},
		{"a zone that is not there", "stations: {a/b/c/d: {zone: hot}}", `zone "hot" is not among the zones`},
		{"a mode that is none", "stations: {a/b/c/d: {mode: open}}", "none of attribute"},
		{"a cause that is none", world + "deny: [{person: anna, station: a/b/c/d, because: x}]", "because:"},
		{"a cause of what is allowed", world + "allow: [{person: anna, station: a/b/c/d, because: shift}]", "only for a tap that is denied"},
		{"nobody to displace", world + "allow: [{person: anna, station: a/b/c/d, action: displaceSession}]", "holder"},
		{"an action that is none", world + "allow: [{person: anna, station: a/b/c/d, action: fly}]", "action"},
		{"a time that is none", world + "allow: [{person: anna, station: a/b/c/d, away: soon}]", "away"},
		{"an alias", "people:\n  anna: &a {roles: [x]}\n  ben: *a\n", "aliases"},
		{"too deep", strings.Repeat("[", 1000), "nested"},
		{"too deep by indents", strings.Repeat("- ", 1000) + "x", "nested"},
		{"too long", strings.Repeat("# x\n", MaxCases/4+1), "limit"},
		{"not YAML", "people: [", "["},
	} {
		t.Run(row.says, func(t *testing.T) {
			_, err := ReadCases([]byte(row.text))
			if err == nil || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want %q on one line", err, row.want)
			}
		})
	}
}

// FuzzReadCases holds that no cases make the reader panic or take long, and that what it reads can be decided.
func FuzzReadCases(f *testing.F) {
	f.Add([]byte(cases))
	f.Add([]byte("people: {a: {}}\nstations: {a/b/c/d: {}}\nallow: [{person: a, station: a/b/c/d}]"))
	set := load(f, Default())
	f.Fuzz(func(t *testing.T, text []byte) {
		began := time.Now()
		c, err := ReadCases(text)
		if err == nil {
			set.Try(c)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}
