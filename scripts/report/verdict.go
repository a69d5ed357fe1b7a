package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// progress prints a run while it goes on.
type progress struct{ out io.Writer }

func (p progress) packageEnded(name string, how state, seconds float64, tests int) {
	if tests == 0 && how != failedState {
		return
	}
	fmt.Fprintf(p.out, "    %-4s %6.1fs %4d tests  %s\n", how, seconds, tests, name)
}

func (p progress) failed(one *result) { fmt.Fprint(p.out, one) }

// silence is for runs that were shown before.
type silence struct{}

func (silence) packageEnded(string, state, float64, int) {}
func (silence) failed(*result)                           {}

// judge prints what was skipped and what failed, ends with the line of counts, and fails unless a test ran (or only some steps
// were asked for), nothing failed and every skip was expected.
func judge(tests *run, steps []step, expected []*skip, some bool, out io.Writer) error {
	problems := problemsOf(tests, steps)
	passed, failed, skipped := len(tests.in(passedState)), len(problems), 0

	say := func(what, name, reason string) {
		if expects(expected, name, reason) {
			skipped++
			fmt.Fprintf(out, "skipped, as expected: %s%s (%s)\n", what, name, reason)
			return
		}
		failed++
		problems = append(problems, fmt.Sprintf("%s%s skipped, which scripts/expected-skips.txt does not expect (%s)", what, name, reason))
	}
	for _, one := range tests.in(skippedState) {
		say("", one.name, one.reason())
	}
	for _, one := range steps {
		switch {
		case one.state == skippedState:
			say("step ", one.name, one.reason)
		case one.state == passedState && !one.tests:
			passed++
		}
	}
	for _, one := range expected {
		if !one.used && !some && one.text != "*" {
			fmt.Fprintf(out, "note: nothing was skipped as %s (%s)\n", one.text, one.reason)
		}
	}
	for _, line := range tests.strange {
		fmt.Fprintf(out, "beside the tests: %s\n", line)
	}
	for _, problem := range problems {
		fmt.Fprintf(out, "failed: %s\n", problem)
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", passed, failed, skipped)
	switch {
	case failed > 0:
		return errors.New("not all is well")
	case len(tests.in(passedState)) == 0 && !some:
		return errors.New("no test ran")
	}
	return nil
}

// problemsOf names every failed test and every failed step. A step of Go tests is one only if no test of any run failed: then
// something beside the tests went wrong in it.
func problemsOf(tests *run, steps []step) []string {
	var problems []string
	for _, one := range tests.in(failedState) {
		problems = append(problems, one.name)
	}
	counted := len(problems) > 0
	for _, one := range steps {
		if one.state == failedState && (!one.tests || !counted) {
			problems = append(problems, strings.TrimSpace("step "+one.name+" "+one.reason))
		}
	}
	return problems
}
