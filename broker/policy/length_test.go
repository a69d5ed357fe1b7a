package policy

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// A stack that gets too deep ends the whole program and cannot be caught, so this test fails by ending itself.
func TestNoTextIsTooDeepForTheParser(t *testing.T) {
	const head, tail = "@id(\"p\") permit (principal, action, resource) when { ", " };\n"
	for _, row := range []struct{ open, close string }{
		{"(", ")"},
		{"[", "]"},
		{"{a:", "}"},
		{"principal.shifts.contains(", ")"},
		{"if true then ", " else false"},
		{"!", ""},
		{"-", ""},
		{"true && ", ""},
		{"1 + ", ""},
		{"if ", ""},
		{"(", ""},
		{"\"", ""},
		{"//", ""},
		{"a.", ""},
		{"a[", "]"},
		{"a like ", ""},
		{"a has ", ""},
	} {
		for _, size := range []int{1000, MaxPolicy, MaxText} {
			n := max(0, size-len(head)-len(tail)-4) / (len(row.open) + len(row.close))
			text := head + strings.Repeat(row.open, n) + "true" + strings.Repeat(row.close, n) + tail
			for _, text := range []string{text, strings.ReplaceAll(text, "true", "\";\" == \";\"")[:min(len(text), MaxText)]} {
				set, err := Load(text)
				if err != nil {
					if len(err.Error()) > 10*MaxPolicy {
						t.Errorf("%d times %s: an error of %d bytes", n, row.open, len(err.Error()))
					}
					continue
				}
				set.Decide(Request{Action: OpenSession, Person: anna(), Station: hmi(), Tap: Tap{At: monday()}})
			}
		}
	}
}

func TestThePolicyIsMeasuredToItsOwnEnd(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "abc;": 4, "ab;abcd;": 5, "abc": 3, `a";;";b;`: 6, `"\";";`: 6, "// ;\na;": 7, "//\n;;": 4, `";`: 2, `"\`: 2, "/;": 2,
	} {
		if got, _ := longest(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func TestNoTextTakesLong(t *testing.T) {
	if os.Getenv("TAPLINE_SUITE") == "quick" {
		t.Skip("needs: full suite")
	}
	fill := func(rule func(i int) string) string {
		var b strings.Builder
		for i := 0; b.Len() < MaxText-200; i++ {
			b.WriteString(rule(i))
		}
		return b.String()
	}
	for says, text := range map[string]string{
		"many rules": fill(func(i int) string {
			return fmt.Sprintf("@id(\"r%d\") permit (principal, action, resource) when { context.minuteOfDay > %d };\n", i, i%90)
		}),
		"many times of the day": fill(func(i int) string {
			return fmt.Sprintf("@id(\"r%d\") forbid (principal, action, resource) when { context.minuteOfDay > %d };\n", i, i%1400)
		}),
		"many faults": fill(func(int) string { return "permit (principal, action, resource) when { context.x };\n" }),
		"many forbids without conditions": fill(func(i int) string {
			return fmt.Sprintf("@id(\"r%d\") %s (principal in Role::\"r%d\", action, resource);\n", i, []string{"permit", "forbid"}[i%2], i)
		}),
	} {
		began := time.Now()
		set, err := Load(text)
		if err == nil {
			set.Strange()
		} else if n := len(strings.Split(err.Error(), "; ")); n > maxFaults+1 {
			t.Errorf("%s: %d faults", says, n)
		}
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("%s: %s", says, took)
		}
	}
}
