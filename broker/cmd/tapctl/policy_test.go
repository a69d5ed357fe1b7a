package main

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/installer/osservice"
	taplinev1 "tapline/proto/tapline/v1"
)

// file writes a file and gives its path.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	everybody = `@id("everybody") permit (principal, action, resource);` + "\n"
	oneCase   = "people: {anna: {}}\nstations: {plant/press/line-4/hmi-1: {}}\nallow: [{person: anna, station: plant/press/line-4/hmi-1}]\n"
)

func TestAPolicyIsCheckedWithoutABroker(t *testing.T) {
	bad := file(t, "bad.cedar", everybody+`@id("b") permit (principal, action, resource) when { principal.disabledd };`)
	code, out, said := run(t, "policy", "check", bad)
	if code != osservice.Refused || !strings.Contains(out, bad+":2:64: b: ") || !strings.Contains(said, "hint: ") {
		t.Errorf("got %s:\n%s%s", code, out, said)
	}
	code, out, _ = run(t, "policy", "check", "-o", "json", bad)
	var got checked
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != osservice.Refused || got.Good || len(got.Faults) != 1 || got.Faults[0].Line != 2 {
		t.Errorf("got %s, %v: %s", code, err, out)
	}
	code, out, _ = run(t, "policy", "check", file(t, "twice.cedar", everybody+strings.ReplaceAll(everybody, `"everybody"`, `"again"`)))
	if code != osservice.OK || !strings.Contains(out, "again: it says the same as everybody (strange, and no fault)") || !strings.Contains(out, "good, not in force") {
		t.Errorf("got %s:\n%s", code, out)
	}
}

func TestAPolicyIsTestedWithoutABroker(t *testing.T) {
	good := file(t, "good.cedar", everybody)
	for _, row := range []struct {
		says, cases string
		code        osservice.ExitCode
		prints      string
	}{
		{"all as they must", oneCase, osservice.OK, "1 passed, 0 failed"},
		{"one not", oneCase + "deny: [{person: anna, station: plant/press/line-4/hmi-1}]\n", osservice.Refused, "FAIL  deny 1 (anna at plant/press/line-4/hmi-1): permitted by everybody"},
		{"none at all", "people: {}\n", osservice.Usage, "there is no case"},
		{"a key that there is not", "peeple: {}\n", osservice.Usage, "[1:1] unknown field"},
	} {
		t.Run(row.says, func(t *testing.T) {
			cases := file(t, "cases.yaml", row.cases)
			code, out, said := run(t, "policy", "test", good, "--cases", cases)
			if code != row.code || !strings.Contains(out+said, row.prints) {
				t.Errorf("got %s:\n%s%s", code, out, said)
			}
			if code, out, _ := run(t, "policy", "test", good, "--cases", cases, "-o", "json"); code != row.code || code != osservice.Usage && !json.Valid([]byte(out)) {
				t.Errorf("as JSON %s:\n%s", code, out)
			}
		})
	}
	if code, _, said := run(t, "policy", "test", file(t, "bad.cedar", "permit"), "--cases", file(t, "c.yaml", oneCase)); code != osservice.Refused || !strings.Contains(said, "policy check") {
		t.Errorf("a policy that does not load: %s, %s", code, said)
	}
}

func TestADiffTurnsOneTextIntoTheOther(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	text := func() []string {
		var lines []string
		for range rnd.IntN(12) {
			lines = append(lines, string(rune('a'+rnd.IntN(4)))+"\n")
		}
		return lines
	}
	for range 2000 {
		a, b := text(), text()
		var from, to []string
		for _, l := range diff(a, b) {
			if l[0] != '+' {
				from = append(from, l[1:])
			}
			if l[0] != '-' {
				to = append(to, l[1:])
			}
		}
		if d := cmp.Diff(a, from) + cmp.Diff(b, to); d != "" {
			t.Fatalf("%q, %q: %s", a, b, d)
		}
	}
	long := append(strings.SplitAfter(strings.Repeat("x\n", 20), "\n")[:20], "new\n")
	if got := strings.Join(short(diff(long[:20], long)), ""); got != "...\n x\n x\n x\n+new\n" {
		t.Errorf("got %q", got)
	}
	if got := strings.Join(diff([]string{"a\n", "b\n"}, []string{"a\n", "c"}), ""); got != " a\n-b\n+c\n" {
		t.Errorf("got %q", got)
	}
}

func TestWhatAWhatIfSays(t *testing.T) {
	r := replay{byRule: map[string]int{}, now: "aaaaaaaaaaaa", draft: "bbbbbbbbbbbb", replayed: 10}
	for _, refusal := range []taplinev1.RefusalCause{1, 1, 0} {
		d := &taplinev1.ReplayedTap{
			At: timestamppb.Now(), Person: "anna\x1b[2J", Now: &taplinev1.Decision{Allowed: refusal != 0}, Draft: &taplinev1.Decision{Allowed: refusal == 0, Refusal: refusal, Rules: []string{"r"}},
		}
		r.count(d)
		r.differences = append(r.differences, d)
	}
	var table, text bytes.Buffer
	if err := r.table(&table); err != nil || !strings.Contains(table.String(), "2 would be refused that are allowed, 1 allowed that are refused") ||
		!strings.Contains(table.String(), "3  by r") || strings.Contains(table.String(), "\x1b") {
		t.Errorf("%v:\n%s", err, table.String())
	}
	if err := r.json(&text); err != nil || !json.Valid(text.Bytes()) {
		t.Errorf("%v:\n%s", err, text.String())
	}
}
