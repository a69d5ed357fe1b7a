package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// story writes a run: each line is "action package test output", with "-" for nothing.
func story(t *testing.T, lines ...string) string {
	t.Helper()
	var b strings.Builder
	for _, line := range lines {
		words := strings.SplitN(line, " ", 4)
		e := event{Action: words[0], Package: words[1]}
		if words[2] != "-" {
			e.Test = words[2]
		}
		if len(words) == 4 {
			e.Output = words[3] + "\n"
		}
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s\n", text)
	}
	return b.String()
}

func TestVerdict(t *testing.T) {
	good := []string{"run p TestA", "pass p TestA", "pass p -"}
	skipped := append([]string{"run p TestS", "output p TestS     s_test.go:9: needs: root", "skip p TestS"}, good...)
	for _, c := range []struct {
		name     string
		lines    []string
		steps    string
		expected string
		want     string // the last line
		err      string // "" for none
	}{
		{"one test passes", good, "", "", "1 passed, 0 failed, 0 skipped", ""},
		{"nothing ran", []string{"skip p -"}, "", "", "0 passed, 0 failed, 0 skipped", "no test ran"},
		{"only skips", skipped[:3], "", "full | p.TestS | needs: root", "0 passed, 0 failed, 1 skipped", "no test ran"},
		{"a skip nobody expects", skipped, "", "", "1 passed, 1 failed, 0 skipped", "not all"},
		{"a skip that is expected", skipped, "", "full | p.Test* | needs: root", "1 passed, 0 failed, 1 skipped", ""},
		{"a skip expected in another suite", skipped, "", "quick | p.Test* | needs: root", "1 passed, 1 failed, 0 skipped", "not all"},
		{"a skip expected for another reason", skipped, "", "* | p.Test* | needs: pcscd", "1 passed, 1 failed, 0 skipped", "not all"},
		{"a test fails", append([]string{"run p TestF", "fail p TestF", "fail p -"}, good...), "", "", "1 passed, 1 failed, 0 skipped", "not all"},
		{"a subtest fails and counts once", append([]string{"run p TestF", "run p TestF/row", "fail p TestF/row", "fail p TestF", "fail p -"}, good...), "", "", "1 passed, 1 failed, 0 skipped", "not all"},
		{"a test with subtests fails by itself", append([]string{"run p TestF", "run p TestF/row", "pass p TestF/row", "fail p TestF", "fail p -"}, good...), "", "", "2 passed, 1 failed, 0 skipped", "not all"},
		{"subtests count, their parent does not", append([]string{"run p TestG", "run p TestG/a", "run p TestG/b", "pass p TestG/a", "pass p TestG/b", "pass p TestG"}, good...), "", "", "3 passed, 0 failed, 0 skipped", ""},
		{"a package does not compile", append([]string{"fail q -"}, good...), "", "", "1 passed, 1 failed, 0 skipped", "not all"},
		{"a test never ends", append([]string{"run q TestH", "fail q -"}, good...), "", "", "1 passed, 1 failed, 0 skipped", "not all"},
		{"the stream is cut off", append(good, "run q TestH"), "", "", "1 passed, 1 failed, 0 skipped", "not all"},
		{"a step passes", good, "pass\tbuild\t\n", "", "2 passed, 0 failed, 0 skipped", ""},
		{"a step fails", good, "fail\tbuild\texit 1\n", "", "1 passed, 1 failed, 0 skipped", "not all"},
		{"a step of tests passes and is not counted again", good, "tests-pass\tgo test\t\n", "", "1 passed, 0 failed, 0 skipped", ""},
		{"a step of tests fails beside its tests", good, "tests-fail\tgo test\texit 2\n", "", "1 passed, 1 failed, 0 skipped", "not all"},
		{"a step is skipped as expected", good, "skip\tscan\tneeds: network\n", "* | scan | needs: network", "1 passed, 0 failed, 1 skipped", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			last, err := verdictOf(t, story(t, c.lines...), c.steps, c.expected)
			if last != c.want {
				t.Errorf("got %q, want %q", last, c.want)
			}
			if (err == nil) != (c.err == "") || (err != nil && !strings.Contains(err.Error(), c.err)) {
				t.Errorf("got error %v, want %q", err, c.err)
			}
		})
	}
}

// verdictOf runs "report sum" over three files and returns the last line that it prints.
func verdictOf(t *testing.T, tests, steps, expected string) (string, error) {
	t.Helper()
	write := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var out strings.Builder
	err := command([]string{
		"sum", "-steps", write("steps", steps), "-expected", write("expected", expected), write("tests", tests),
	}, nil, &out)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	return lines[len(lines)-1], err
}

func TestFollowShowsFailuresAndKeepsTheRun(t *testing.T) {
	text := story(t, "run p TestF", "output p TestF     f_test.go:3: got 1, want 2", "fail p TestF", "fail p -")
	kept := filepath.Join(t.TempDir(), "kept")
	var out strings.Builder
	if err := command([]string{"follow", kept}, strings.NewReader(text), &out); err == nil {
		t.Error("a failed run gave no error")
	}
	if !strings.Contains(out.String(), "got 1, want 2") || !strings.Contains(out.String(), "FAILED p.TestF") {
		t.Errorf("the failure is not shown:\n%s", out.String())
	}
	if copied, err := os.ReadFile(kept); err != nil || string(copied) != text {
		t.Errorf("the copy differs (%v):\n%s", err, copied)
	}
}

func TestBuildErrorsAreShown(t *testing.T) {
	text := `{"ImportPath":"q [q.test]","Action":"build-output","Output":"q.go:1:1: broken\n"}
{"ImportPath":"q [q.test]","Action":"build-fail"}
{"Action":"fail","Package":"q","Elapsed":0,"FailedBuild":"q [q.test]"}
`
	var out strings.Builder
	if err := command([]string{"follow", filepath.Join(t.TempDir(), "kept")}, strings.NewReader(text), &out); err == nil {
		t.Error("no error")
	}
	if !strings.Contains(out.String(), "q.go:1:1: broken") {
		t.Errorf("the compiler's error is not shown:\n%s", out.String())
	}
}

func TestListsThatAreWrongAreErrors(t *testing.T) {
	for name, text := range map[string]string{
		"two fields": "full | p.TestS", "no reason": "full | p.TestS | ", "no test": "full | | needs: root",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parseExpected(strings.NewReader(text)); err == nil {
				t.Error("no error")
			}
		})
	}
	if _, err := parseSteps(strings.NewReader("maybe\tbuild\t\n")); err == nil {
		t.Error("an unknown state is no error")
	}
}
