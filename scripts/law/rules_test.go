package law

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

const essay = "// Package x is here to be looked at by the rules of the tree. Tests call it and nobody else does.\n" +
	"// It never opens a file, never waits and never remembers anything from one call to the next.\n"

// cases breaks every rule once or more, and shows beside it what the rule lets pass. Each row is one file.
var cases = []struct {
	rule string
	name string
	path string
	text string
	bad  bool
}{
	{"parts import downwards only", "proto uses the reader", "proto/a.go", `import "tapline/reader"`, true},
	{"parts import downwards only", "the reader's test uses the agent", "reader/a_test.go", `import "tapline/agent"`, true},
	{"parts import downwards only", "the auditor uses the broker", "broker/cmd/tapaudit/a.go", `import "tapline/broker/audit"`, true},
	{"parts import downwards only", "the auditor uses its own folder", "broker/cmd/tapaudit/a.go", `import "tapline/broker/cmd/tapaudit/show"`, false},
	{"parts import downwards only", "the agent uses the whole installer", "agent/a.go", `import "tapline/installer/linux"`, true},
	{"parts import downwards only", "the agent uses the service wrapper", "agent/a.go", `import "tapline/installer/osservice"`, false},
	{"parts import downwards only", "the service wrapper uses the agent", "installer/osservice/a.go", `import "tapline/agent"`, true},
	{"parts import downwards only", "a folder without a law", "thing/a.go", `import "tapline/agent"`, true},
	{"parts import downwards only", "a part whose name starts alike", "agent/a.go", `import "tapline/protocol"`, true},

	{"one home per outside library", "scard in the agent", "agent/a.go", `import "github.com/ebfe/scard"`, true},
	{"one home per outside library", "scard at home", "reader/pcsc/a.go", `import "github.com/ebfe/scard"`, false},
	{"one home per outside library", "a library nobody knows", "agent/a.go", `import "example.com/new"`, true},
	{"one home per outside library", "cmp in a product file", "agent/a.go", `import "github.com/google/go-cmp/cmp"`, true},
	{"one home per outside library", "cmp in a test", "agent/a_test.go", `import "github.com/google/go-cmp/cmp"`, false},
	{"one home per outside library", "a newer major version at home", "broker/store/a.go", `import "github.com/pressly/goose/v3"`, false},

	{"pure packages do no I/O and read no clock", "a session that opens files", "agent/session/a.go", `import "os"`, true},
	{"pure packages do no I/O and read no clock", "a session that asks for the time", "agent/session/a.go", `import "time"; func f() time.Time { return time.Now() }`, true},
	{"pure packages do no I/O and read no clock", "a folder of evidence below the record", "proto/record/evidence/a.go", `import "os"`, false},
	{"pure packages do no I/O and read no clock", "a session that is told the time", "agent/session/a.go", `import "time"; func f(now time.Time) int { return now.Hour() }`, false},

	{"every package says what it is", "no comment", "agent/a.go", "package agent\n", true},
	{"every package says what it is", "a short comment", "agent/a.go", "// Package agent is the agent.\npackage agent\n", true},
	{"every package says what it is", "an essay", "agent/a.go", essay + "package agent\n", false},

	{"every goroutine has an owner", "a bare go", "agent/a.go", `func f() { go f() }`, true},
	{"every goroutine has an owner", "a bare go in a test", "agent/a_test.go", `func f() { go f() }`, true},
	{"no init functions", "init", "agent/a.go", `func init() {}`, true},
	{"no init functions", "a method called init", "agent/a.go", `type t struct{}; func (t) init() {}`, false},
	{"only a main ends the process", "os.Exit", "agent/a.go", `import "os"; func f() { os.Exit(1) }`, true},
	{"only a main ends the process", "os.Exit passed on", "agent/a.go", `import "os"; var leave = os.Exit`, true},
	{"only a main ends the process", "log.Fatalf", "agent/a.go", `import "log"; func f() { log.Fatalf("") }`, true},
	{"only a main ends the process", "os.Exit in a main", "agent/cmd/tapagent/a.go", "package main\nimport \"os\"\nfunc main() { os.Exit(1) }", false},

	{"only a main ends the process", "os.Exit in TestMain", "agent/a_test.go", `import "os"; func TestMain() { os.Exit(1) }`, false},
	{"only a main ends the process", "os.Exit in a test", "agent/a_test.go", `import "os"; func TestMore() { os.Exit(1) }`, true},

	{"no mutable package state", "a lock", "agent/a.go", `import "sync"; var lock sync.Mutex`, true},
	{"no mutable package state", "a lock inside a struct", "agent/a.go", `import "sync"; var all struct{ sync.Mutex; n int }`, true},
	{"no mutable package state", "a typed atomic", "agent/a.go", `import "sync/atomic"; var p atomic.Pointer[int]`, true},
	{"no mutable package state", "a made map", "agent/a.go", `var seen = make(map[string]bool)`, true},
	{"no mutable package state", "a map to be set later", "agent/a.go", `var seen map[string]bool`, true},
	{"no mutable package state", "a pointer", "agent/a.go", `type t struct{}; var one = &t{}`, true},
	{"no mutable package state", "a counter", "agent/a.go", `var n int; func f() { n++ }`, true},
	{"no mutable package state", "a table that is filled", "agent/a.go", `var seen = map[string]bool{}; func f() { seen["a"] = true }`, true},
	{"no mutable package state", "a hook that is replaced", "agent/a.go", `import "time"; var now = time.Now; func f() { now = nil }`, true},
	{"no mutable package state", "a table", "agent/a.go", `var names = map[int]string{1: "a"}; func f() string { return names[1] }`, false},
	{"no mutable package state", "a local of the same name", "agent/a.go", `var n = 1; func f() int { n := n; n++; var m int; m++; return n + m }`, false},
	{"no mutable package state", "a sentinel error", "agent/a.go", `import "errors"; var ErrGone = errors.New("gone")`, false},
	{"no mutable package state", "an interface check", "agent/a.go", `type t struct{}; var _ any = &t{}`, false},

	{"tests do not sleep", "a sleep", "agent/a_test.go", `import "time"; func f() { time.Sleep(1) }`, true},
	{"tests do not sleep", "a sleep in test help", "agent/agenttest/a.go", `import ("time"; "testing"); func f(*testing.T) { time.Sleep(1) }`, true},

	{"skips say what they need", "no reason", "agent/a_test.go", `import "testing"; func f(t *testing.T) { t.SkipNow() }`, true},
	{"skips say what they need", "another reason", "agent/a_test.go", `import "testing"; func f(t *testing.T) { t.Skip("not today") }`, true},
	{"skips say what they need", "a reason that only shows at run time", "agent/a_test.go", `import "testing"; func f(t *testing.T, s string) { t.Skip(s) }`, true},
	{"skips say what they need", "a need", "agent/a_test.go", `import "testing"; func f(t *testing.T) { t.Skip("needs: root") }`, false},
	{"skips say what they need", "a need with a detail", "agent/a_test.go", `import "testing"; func f(t *testing.T, s string) { t.Skip("needs: " + s) }`, false},
	{"skips say what they need", "a script that just skips", "scripts/e2e/a.txtar", "[!root] skip\n", true},
	{"skips say what they need", "a script that needs", "scripts/e2e/a.txtar", "[!root] skip 'needs: root'\n", false},

	{"folders are named for what they hold", "util", "agent/util/a.txt", "x", true},
	{"the top level is fixed", "a new folder", "doc/a.txt", "x", true},
	{"the top level is fixed", "a new file", "Makefile", "x", true},
	{"the top level is fixed", "the read-me", "README.md", "x", false},
	{"each part explains itself", "no read-me", "agent/a.txt", "x", true},
	{"each part explains itself", "a read-me", "agent/README.md", "x", false},

	{"nothing is left open", "a note to self", "agent/a.txt", "TO" + "DO: more", true},
	{"nothing is left open", "a template for a temporary name", "scripts/a", "mktemp a.XX" + "XXXX", false},

	{"no machine is named", "a home folder", "agent/a.txt", "see /ho" + "me/anna/x", true},
	{"no machine is named", "at the start of a line", "agent/a.txt", "/wo" + "rk/x", true},
	{"no machine is named", "a registry", "scripts/a", "curl https://proxy." + "golang.org/x", true},
	{"no machine is named", "a page that is not ours to quote", "scripts/a.txt", "see DES" + "IGN.md", true},
	{"no machine is named", "a place in a URL or a station name", "agent/a.txt", "https://example.com/ho" + "me/x plant/wo" + "rk/line", false},

	{"files and functions stay short", "a long file", "agent/a.go", strings.Repeat("// line\n", longestFile), true},
	{"files and functions stay short", "a long function", "agent/a.go", "func f() {\n" + strings.Repeat("_ = 1\n", longestFunction) + "}", true},
	{"files and functions stay short", "a long test", "agent/a_test.go", "func f() {\n" + strings.Repeat("_ = 1\n", longestFunction) + "}", false},
}

func TestRulesSeeWhatTheyForbid(t *testing.T) {
	rules := map[string]Rule{}
	for _, rule := range Rules() {
		rules[rule.Name] = rule
	}
	broken := map[string]bool{}
	for _, c := range cases {
		t.Run(c.rule+"/"+c.name, func(t *testing.T) {
			rule, known := rules[c.rule]
			if !known {
				t.Fatalf("no rule is called %q", c.rule)
			}
			breaches := rule.Check(oneFile(t, c.path, c.text))
			if got := len(breaches) > 0; got != c.bad {
				t.Errorf("breach %v, want %v: %v", got, c.bad, breaches)
			}
		})
		broken[c.rule] = broken[c.rule] || c.bad
	}
	for _, name := range slices.Sorted(maps.Keys(rules)) {
		if !broken[name] {
			t.Errorf("no case breaks the rule %q, so nothing shows that it can fail", name)
		}
	}
}

// oneFile is a tree of one file; a Go file that has no package clause gets one.
func oneFile(t *testing.T, path, text string) *Tree {
	t.Helper()
	if strings.HasSuffix(path, ".go") && !strings.Contains(text, "package ") {
		text = "package x\n" + text
	}
	root := fstest.MapFS{path: {Data: []byte(text)}}
	tree, err := Read(root)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestGeneratedCodeIsNobodysStyle(t *testing.T) {
	tree := oneFile(t, "proto/a.pb.go", "// Code generated by protoc-gen-go. DO NOT EDIT.\n\npackage x\nfunc init() { go f() }\nfunc f() {}\n")
	for _, rule := range []func(*Tree) []Breach{initFunctions, goStatements} {
		if breaches := rule(tree); len(breaches) > 0 {
			t.Errorf("generated code was judged: %v", breaches)
		}
	}
}

func TestATreeThatDoesNotParseIsAnError(t *testing.T) {
	if _, err := Read(fstest.MapFS{"a.go": {Data: []byte("package")}}); err == nil {
		t.Error("no error")
	}
}
