package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// state is how a test ended.
type state string

const (
	passedState  state = "pass"
	failedState  state = "fail"
	skippedState state = "skip"
	openState    state = "" // started, and nothing said how it ended
)

// event is one line of "go test -json"; see "go doc test2json".
type event struct {
	Action      string
	Package     string
	ImportPath  string // of build output
	Test        string
	Elapsed     float64 // seconds
	Output      string
	FailedBuild string // import path of what did not compile
}

// result is one test, or one package that failed outside of its tests.
type result struct {
	name   string // package and test, as "tapline/reader.TestX/row"
	state  state
	output []string
	above  *result // the test that this is a subtest of; nil where it is none
	parent bool    // has subtests
	broken bool    // failed, and so did a subtest, which is the one to look at
}

// run collects the results of one or more runs. A name that ran twice, say with and without the race detector, counts twice.
type run struct {
	results []*result
	live    map[string]*result // by name, of packages that have not ended
	loose   map[string][]string
	strange []string
}

// watcher is told what happens while a run is read.
type watcher interface {
	packageEnded(name string, how state, seconds float64, tests int)
	failed(*result)
}

func newRun() *run {
	return &run{live: map[string]*result{}, loose: map[string][]string{}}
}

// read takes in the JSON lines of one run. A line that is no JSON is kept and shown at the end: it is usually a panic or a tool's error.
func (r *run) read(in io.Reader, watch watcher) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			r.line(line, watch)
		}
		if errors.Is(err, io.EOF) {
			r.cutOff(watch)
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *run) line(line []byte, watch watcher) {
	var e event
	if json.Unmarshal(line, &e) != nil || e.Action == "" {
		r.strange = append(r.strange, strings.TrimRight(string(line), "\n"))
		return
	}
	switch e.Action {
	case "run":
		r.start(e)
	case "output", "build-output":
		r.output(e)
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.endPackage(e, watch)
		} else {
			r.end(e, watch)
		}
	}
}

func (e event) name() string { return e.Package + "." + e.Test }

func (r *run) start(e event) {
	started := &result{name: e.name()}
	r.results = append(r.results, started)
	r.live[e.name()] = started
	if slash := strings.LastIndexByte(e.Test, '/'); slash >= 0 {
		if parent := r.live[e.Package+"."+e.Test[:slash]]; parent != nil {
			parent.parent = true
			started.above = parent
		}
	}
}

func (r *run) output(e event) {
	if test := r.live[e.name()]; test != nil && e.Test != "" {
		test.output = append(test.output, e.Output)
		return
	}
	key := e.Package
	if key == "" {
		key = e.ImportPath
	}
	r.loose[key] = append(r.loose[key], e.Output)
}

func (r *run) end(e event, watch watcher) {
	test := r.live[e.name()]
	if test == nil {
		return
	}
	test.state = state(e.Action)
	if test.state == failedState {
		fail(test, watch)
	}
}

// fail reports a failed test and takes the blame off the test above it.
func fail(test *result, watch watcher) {
	test.state = failedState
	if test.above != nil {
		test.above.broken = true
	}
	watch.failed(test)
}

// endPackage closes a package. One that failed while no test of it did is itself a failure: it did not compile, or it crashed.
func (r *run) endPackage(e event, watch watcher) {
	tests, failures := 0, 0
	for name, test := range r.live {
		if !strings.HasPrefix(name, e.Package+".") {
			continue
		}
		delete(r.live, name)
		if test.state == openState {
			test.output = append(test.output, "the test never ended\n")
			fail(test, watch)
		}
		if test.state == failedState {
			failures++
		}
		tests++
	}
	if e.Action == "fail" && failures == 0 {
		whole := &result{name: e.Package, state: failedState, output: append(r.loose[e.FailedBuild], r.loose[e.Package]...)}
		r.results = append(r.results, whole)
		watch.failed(whole)
	}
	delete(r.loose, e.Package)
	watch.packageEnded(e.Package, state(e.Action), e.Elapsed, tests)
}

// cutOff fails every test that was still running when the stream ended.
func (r *run) cutOff(watch watcher) {
	for name, test := range r.live {
		delete(r.live, name)
		if test.state == openState {
			test.output = append(test.output, "the run was cut off\n")
			fail(test, watch)
		}
	}
}

// in lists the results in a state. A test with subtests does not count beside them, unless it failed by itself.
func (r *run) in(how state) []*result {
	var found []*result
	for _, one := range r.results {
		if one.state == how && !one.broken && (!one.parent || how == failedState) {
			found = append(found, one)
		}
	}
	return found
}

var located = regexp.MustCompile(`^\s*[^\s:]+\.go:\d+: (.*)$`)

// reason is the message that a test skipped with; "" where it gave none.
func (t *result) reason() string {
	for i := len(t.output) - 1; i >= 0; i-- {
		if match := located.FindStringSubmatch(strings.TrimRight(t.output[i], "\n")); match != nil {
			return match[1]
		}
	}
	return ""
}

// String gives the result with its output, for a person.
func (t *result) String() string {
	return fmt.Sprintf("FAILED %s\n%s", t.name, indent(strings.Join(t.output, "")))
}

func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("    " + line)
	}
	return b.String()
}
