// Package law holds the rules that Tapline's source tree keeps, as code that can fail.
//
// A rule that only a reader enforces is forgotten by the third hurried change; these run with every test run. Each Rule looks at
// the whole Tree (every text file, Go files parsed) and returns a Breach for each place that breaks it. The tests of this package
// run every rule over the real tree, and show for every rule a small tree that breaks it, so that no rule can go blind unseen.
//
// The tree is parsed inside the test process, so the test cache sees every file that was read and can't hide a violation.
// Nothing but tests calls this package; it needs no tool beside Go, changes nothing and never looks outside the tree.
package law

import "fmt"

// Rule is one law of the tree.
type Rule struct {
	// Name is short and says what holds where the rule is kept.
	Name string
	// Why is what goes wrong without it.
	Why string
	// Check returns the places that break the rule.
	Check func(*Tree) []Breach
}

// Breach is one place that breaks a rule.
type Breach struct {
	// Path is relative to the root of the tree, with forward slashes.
	Path string
	// Line counts from 1; 0 stands for the whole file or folder.
	Line int
	// Says is what is wrong and, where it is not plain, what to do instead.
	Says string
}

// String gives the breach in the form that editors can jump to.
func (b Breach) String() string {
	if b.Line == 0 {
		return fmt.Sprintf("%s: %s", b.Path, b.Says)
	}
	return fmt.Sprintf("%s:%d: %s", b.Path, b.Line, b.Says)
}

// Rules returns every law of the tree.
func Rules() []Rule {
	return []Rule{
		{"parts import downwards only", "a part that points back can't be understood or tested alone", partImports},
		{"one home per outside library", "a library with one home can be replaced in one place", libraryHomes},
		{"pure packages do no I/O and read no clock", "what takes time as an argument can be replayed", pureCores},
		{"every package says what it is", "a reader meets the package doc first", packageDocs},
		{"every goroutine has an owner", "a bare go statement outlives whoever started it", goStatements},
		{"no init functions", "work before main can't be ordered, tested or refused", initFunctions},
		{"only a main ends the process", "an exit elsewhere skips deferred closes and journal syncs", processExits},
		{"no mutable package state", "two agents in one test process must not meet", packageState},
		{"tests do not sleep", "a sleep is either too short on a slow machine or too long on a fast one", testSleeps},
		{"skips say what they need", "a skip without a reason is a test that was lost", skipReasons},
		{"folders are named for what they hold", "a folder of leftovers collects more", folderNames},
		{"the top level is fixed", "six folders can be learned, twenty can't", topLevel},
		{"each part explains itself", "a folder without a README has no front door", partReadmes},
		{"nothing is left open", "an open end belongs in an issue, where someone sees it", openEnds},
		{"no machine is named", "a path or host of one machine breaks every other", machineNames},
		{"files and functions stay short", "what grows past a screen or two is several ideas", sizes},
	}
}
