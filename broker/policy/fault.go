package policy

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Fault is one thing that is wrong with a text, or strange.
type Fault struct {
	Line    int    `json:"line"` // from 1; 0 for the text as a whole
	Column  int    `json:"column"`
	Rule    string `json:"rule,omitempty"` // its @id
	Problem string `json:"problem"`
}

// String is "line:column: rule: problem".
func (f Fault) String() string {
	s := f.Problem
	if f.Rule != "" {
		s = f.Rule + ": " + s
	}
	if f.Line > 0 {
		s = fmt.Sprintf("%d:%d: %s", f.Line, f.Column, s)
	}
	return s
}

// Faults are what is wrong with a text.
type Faults []Fault

// Error lists them all.
func (f Faults) Error() string { return strings.Join(f.Strings(), "; ") }

// Strings gives each as a line.
func (f Faults) Strings() []string {
	all := make([]string, len(f))
	for i, one := range f {
		all[i] = one.String()
	}
	return all
}

// where is a place in a text.
type where struct{ line, column int }

// place is the line and column of an offset.
func place(text string, offset int) where {
	before := text[:min(offset, len(text))]
	line := strings.Count(before, "\n")
	return where{line + 1, len([]rune(before[strings.LastIndexByte(before, '\n')+1:])) + 1}
}

// parserPlace is where Cedar's parser puts the place into its errors.
var parserPlace = regexp.MustCompile(`(?:policy|<input>):(\d+):(\d+)`)

// parseFault is an error of Cedar's parser.
func parseFault(err error) Fault {
	f := Fault{Problem: err.Error()}
	if m := parserPlace.FindStringSubmatch(f.Problem); m != nil {
		f.Line, _ = strconv.Atoi(m[1])
		f.Column, _ = strconv.Atoi(m[2])
		f.Problem = strings.TrimPrefix(strings.Replace(f.Problem, "parse error at "+m[0]+" ", "not Cedar at ", 1), "parser error: ")
	}
	return f
}

// quoted is a word that the validator complains of.
var quoted = regexp.MustCompile("`([^`]+)`")

// pin finds the place of a fault in the source of its rule: that of the word that is complained of, else the rule's beginning.
func pin(text, source string, from int, problem string) where {
	for _, m := range quoted.FindAllStringSubmatch(problem, -1) {
		name := m[1]
		if i := strings.LastIndexAny(name, ".:"); i >= 0 && strings.Contains(name, `"`) {
			name = strings.Trim(name[i+1:], `"`) // Action::"fly" is found by its own name
		}
		if at := strings.Index(source, name); at >= 0 && name != "" {
			return place(text, from+at)
		}
	}
	return place(text, from)
}
