package main

import (
	"slices"

	"github.com/breml/bidichk/pkg/bidichk"
	"github.com/gordonklaus/ineffassign/pkg/ineffassign"
	"github.com/kisielk/errcheck/errcheck"
	"github.com/polyfloyd/go-errorlint/errorlint"
	"github.com/timakin/bodyclose/passes/bodyclose"
	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/passes/appends"
	"golang.org/x/tools/go/analysis/passes/assign"
	"golang.org/x/tools/go/analysis/passes/atomic"
	"golang.org/x/tools/go/analysis/passes/atomicalign"
	"golang.org/x/tools/go/analysis/passes/bools"
	"golang.org/x/tools/go/analysis/passes/buildtag"
	"golang.org/x/tools/go/analysis/passes/copylock"
	"golang.org/x/tools/go/analysis/passes/deepequalerrors"
	"golang.org/x/tools/go/analysis/passes/defers"
	"golang.org/x/tools/go/analysis/passes/directive"
	"golang.org/x/tools/go/analysis/passes/errorsas"
	"golang.org/x/tools/go/analysis/passes/hostport"
	"golang.org/x/tools/go/analysis/passes/httpresponse"
	"golang.org/x/tools/go/analysis/passes/ifaceassert"
	"golang.org/x/tools/go/analysis/passes/lostcancel"
	"golang.org/x/tools/go/analysis/passes/nilfunc"
	"golang.org/x/tools/go/analysis/passes/nilness"
	"golang.org/x/tools/go/analysis/passes/printf"
	"golang.org/x/tools/go/analysis/passes/reflectvaluecompare"
	"golang.org/x/tools/go/analysis/passes/scannererr"
	"golang.org/x/tools/go/analysis/passes/shift"
	"golang.org/x/tools/go/analysis/passes/sigchanyzer"
	"golang.org/x/tools/go/analysis/passes/sortslice"
	"golang.org/x/tools/go/analysis/passes/sqlrowserr"
	"golang.org/x/tools/go/analysis/passes/stdmethods"
	"golang.org/x/tools/go/analysis/passes/stringintconv"
	"golang.org/x/tools/go/analysis/passes/structtag"
	"golang.org/x/tools/go/analysis/passes/testinggoroutine"
	"golang.org/x/tools/go/analysis/passes/tests"
	"golang.org/x/tools/go/analysis/passes/timeformat"
	"golang.org/x/tools/go/analysis/passes/unmarshal"
	"golang.org/x/tools/go/analysis/passes/unreachable"
	"golang.org/x/tools/go/analysis/passes/unusedresult"
	"golang.org/x/tools/go/analysis/passes/unusedwrite"
	"golang.org/x/tools/go/analysis/passes/waitgroup"
	"honnef.co/go/tools/analysis/lint"
	"honnef.co/go/tools/simple"
	"honnef.co/go/tools/staticcheck"
	"honnef.co/go/tools/stylecheck"
	"honnef.co/go/tools/unused"
)

// bare are analyzers from several homes, with what each is here to stop.
var bare = []struct {
	analyzer *analysis.Analyzer
	why      string
}{
	{appends.Analyzer, "append with nothing to append"},
	{assign.Analyzer, "x = x"},
	{atomic.Analyzer, "x = atomic.AddInt64(&x, 1)"},
	{atomicalign.Analyzer, "64-bit atomics that crash on 32-bit panels"},
	{bools.Analyzer, "conditions that repeat or exclude themselves"},
	{buildtag.Analyzer, "build constraints that Go silently ignores: a file for Windows that is built everywhere"},
	{copylock.Analyzer, "a copied lock guards nothing"},
	{deepequalerrors.Analyzer, "errors compared by their insides"},
	{defers.Analyzer, "defer log(time.Since(start)) measures nothing"},
	{directive.Analyzer, "misplaced //go: lines"},
	{errorsas.Analyzer, "errors.As into what is no pointer panics"},
	{hostport.Analyzer, "addresses that break with IPv6"},
	{httpresponse.Analyzer, "a response used before its error is looked at"},
	{ifaceassert.Analyzer, "type assertions that can't come true"},
	{lostcancel.Analyzer, "contexts that are never cancelled keep goroutines alive for weeks"},
	{nilfunc.Analyzer, "comparing a function to nil"},
	{nilness.Analyzer, "nil dereferences that the control flow proves"},
	{printf.Analyzer, "format strings that don't match"},
	{reflectvaluecompare.Analyzer, "comparing reflect.Values"},
	{scannererr.Analyzer, "a scanner that stopped on an error looks like the end of the file"},
	{shift.Analyzer, "shifts past the width, in decoders above all"},
	{sigchanyzer.Analyzer, "unbuffered signal channels lose the signal that should stop the service"},
	{sortslice.Analyzer, "sort.Slice of no slice panics"},
	{sqlrowserr.Analyzer, "rows that ended in an error look complete"},
	{stdmethods.Analyzer, "methods that nearly fit a standard interface"},
	{stringintconv.Analyzer, "string(7) is a control character"},
	{structtag.Analyzer, "tags that encoders ignore: a field that is never signed"},
	{testinggoroutine.Analyzer, "t.Fatal off the test's goroutine ends nothing"},
	{tests.Analyzer, "tests that never run because of their name"},
	{timeformat.Analyzer, "2006-02-01"},
	{unmarshal.Analyzer, "decoding into what is no pointer"},
	{unreachable.Analyzer, "code after the end"},
	{unusedresult.Analyzer, "a result that is all the function does"},
	{unusedwrite.Analyzer, "writes to a copy"},
	{waitgroup.Analyzer, "WaitGroup.Add inside the goroutine races with Wait"},

	{errcheck.Analyzer, "an error nobody looked at: in a journal that is a lost record"},
	{errorlint.NewAnalyzer(), "errors compared with == once they are wrapped"},
	{ineffassign.Analyzer, "assignments nobody reads, often a lost error"},
	{bodyclose.Analyzer, "HTTP bodies that are never closed"},
	{bidichk.NewAnalyzer(), "text that reads otherwise than it compiles"},
}

// style are the checks of staticcheck's style family that we keep; the rest argue about taste.
var style = []string{
	"ST1005", // error texts are lower case without a full stop, since they are wrapped
	"ST1006", // receivers are not called self
	"ST1008", // the error is the last result
	"ST1011", // durations carry no unit in their name
	"ST1012", // error variables are called ErrX or errX
	"ST1013", // HTTP status codes have names
	"ST1016", // one receiver name a type
	"ST1017", // no Yoda conditions
	"ST1018", // no invisible characters in strings
	"ST1019", // no package imported twice
	"ST1020", // the doc of a function starts with its name
	"ST1021", // the doc of a type starts with its name
	"ST1022", // the doc of a variable starts with its name
}

// withoutErrorCheck are calls whose error says nothing that the caller could act on.
var withoutErrorCheck = []string{
	"fmt.Fprint", "fmt.Fprintf", "fmt.Fprintln", // to a terminal or a builder; evidence is never written with these
	"(*go.uber.org/zap.Logger).Sync", // fails on every terminal
}

// linters is the whole list: all of staticcheck's bug finders (SA) and simplifications (S), the chosen style checks, unused code,
// and the analyzers above.
func linters() []*lint.Analyzer {
	errcheck.DefaultExcludedSymbols = append(errcheck.DefaultExcludedSymbols, withoutErrorCheck...)
	all := slices.Concat(staticcheck.Analyzers, simple.Analyzers, []*lint.Analyzer{unused.Analyzer})
	for _, one := range stylecheck.Analyzers {
		if slices.Contains(style, one.Analyzer.Name) {
			all = append(all, one)
		}
	}
	for _, one := range bare {
		all = append(all, &lint.Analyzer{
			Doc:      &lint.RawDocumentation{Title: one.why, Severity: lint.SeverityWarning},
			Analyzer: one.analyzer,
		})
	}
	return all
}
