package record_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

const (
	tableBegins = "<!-- tampering: written by go test -update -->\n"
	tableEnds   = "<!-- end -->"
)

// The table of tampering in SPEC.md is the one that is tested.
func TestSpecificationListsEveryTampering(t *testing.T) {
	var table strings.Builder
	table.WriteString("| folder | a forger ... | found at | as |\n|---|---|---|---|\n")
	for _, c := range tamperings() {
		fmt.Fprintf(&table, "| %s | %s | %d | `%s` |\n", c.name, c.does, c.seq, c.kind)
	}
	spec := readFile(t, "SPEC.md")
	before, rest, ok := strings.Cut(spec, tableBegins)
	got, after, ok2 := strings.Cut(rest, tableEnds)
	if !ok || !ok2 {
		t.Fatal("SPEC.md has no table of tampering")
	}
	if *update {
		storeFile(t, "SPEC.md", before+tableBegins+table.String()+tableEnds+after)
		return
	}
	if got != table.String() {
		t.Error("the table of tampering in SPEC.md is old; go test -update writes it anew")
	}
}

// SPEC.md names every key, type and fault that the code knows.
func TestSpecificationNamesEverything(t *testing.T) {
	spec := readFile(t, "SPEC.md")
	for _, source := range []struct{ file, pattern string }{
		{"payload.go", `json:"([a-z_]+)`},
		{"payload.go", `Type = +"([^"]+)"`},
		{"statement.go", `json:"([a-z_]+)`},
		{"trust.go", `json:"([a-z_]+)`},
		{"fault.go", `FaultKind = "([^"]+)"`},
	} {
		found := regexp.MustCompile(source.pattern).FindAllStringSubmatch(readFile(t, source.file), -1)
		if len(found) == 0 {
			t.Errorf("%s has nothing like %s", source.file, source.pattern)
		}
		for _, m := range found {
			if !strings.Contains(spec, "`"+m[1]+"`") {
				t.Errorf("SPEC.md does not name %s of %s", m[1], source.file)
			}
		}
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
