package main

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// skip is one line of the list of expected skips.
type skip struct {
	suites []string // "*" stands for all
	test   *regexp.Regexp
	text   string // the pattern as written
	reason string
	used   bool
}

// parseExpected reads lines of the form "suites | test | reason". The suites are separated by commas, a "*" in the test
// stands for any text, and the reason is how the test's message begins. "#" starts a comment line.
func parseExpected(in io.Reader) ([]*skip, error) {
	var all []*skip
	lines := bufio.NewScanner(in)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, "|")
		if len(fields) != 3 {
			return nil, fmt.Errorf("line %d: want \"suites | test | reason\"", number)
		}
		one := &skip{text: strings.TrimSpace(fields[1]), reason: strings.TrimSpace(fields[2])}
		for suite := range strings.SplitSeq(fields[0], ",") {
			one.suites = append(one.suites, strings.TrimSpace(suite))
		}
		if one.text == "" || one.reason == "" {
			return nil, fmt.Errorf("line %d: the test and the reason can't be empty", number)
		}
		one.test = regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(one.text), `\*`, ".*") + "$")
		all = append(all, one)
	}
	return all, lines.Err()
}

// expectedIn keeps the lines for one suite.
func expectedIn(all []*skip, suite string) []*skip {
	return slices.DeleteFunc(all, func(one *skip) bool {
		return !slices.Contains(one.suites, suite) && !slices.Contains(one.suites, "*")
	})
}

// expects says whether a list names a skip with that reason.
func expects(list []*skip, test, reason string) bool {
	for _, one := range list {
		if one.test.MatchString(test) && strings.HasPrefix(reason, one.reason) {
			one.used = true
			return true
		}
	}
	return false
}

// step is a check that is no Go test: a build, a linter, a scan.
type step struct {
	name   string
	state  state
	reason string
	// tests says that the step's verdict is made of Go tests, which are counted one by one.
	tests bool
}

// parseSteps reads lines "state<TAB>name<TAB>reason", as scripts/test writes them.
func parseSteps(in io.Reader) ([]step, error) {
	var all []step
	lines := bufio.NewScanner(in)
	for number := 1; lines.Scan(); number++ {
		fields := strings.SplitN(lines.Text(), "\t", 3)
		if len(fields) < 3 {
			return nil, fmt.Errorf("line %d: want state, name and reason, separated by tabs", number)
		}
		one := step{state: state(strings.TrimPrefix(fields[0], "tests-")), name: fields[1], reason: fields[2]}
		one.tests = strings.HasPrefix(fields[0], "tests-")
		if !slices.Contains([]state{passedState, failedState, skippedState}, one.state) {
			return nil, fmt.Errorf("line %d: unknown state %q", number, fields[0])
		}
		all = append(all, one)
	}
	return all, lines.Err()
}
