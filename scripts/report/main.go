// Command report turns what "go test -json" says into something a person can act on, and into one verdict.
//
// scripts/test calls it. "report follow FILE" reads the JSON of a test run from its standard input, keeps a copy in FILE, and prints
// a line for each package and the output of each failed test as they come. "report sum" reads such files, and the results of the steps
// that were no Go tests, and ends with the line "N passed, N failed, N skipped". A skip that the list of expected skips does not
// name counts as a failure: a test that quietly stopped running is how suites rot.
//
// It never runs a test, never retries one, and never turns a failure into anything else.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

const usage = "usage: report follow FILE < go-test-json | report sum [-suite NAME] [-expected FILE] [-steps FILE] [-some] [FILE...]"

func main() {
	if err := command(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

func command(args []string, in io.Reader, out io.Writer) error {
	if len(args) == 2 && args[0] == "follow" {
		return follow(in, args[1], out)
	}
	if len(args) > 0 && args[0] == "sum" {
		return sum(args[1:], out)
	}
	return errors.New(usage)
}

// follow copies a run to a file and prints its progress. It fails if any test of the run failed.
func follow(in io.Reader, name string, out io.Writer) error {
	file, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("keep the run: %w", err)
	}
	found := newRun()
	readErr := found.read(io.TeeReader(in, file), progress{out})
	if err := errors.Join(readErr, file.Close()); err != nil {
		return fmt.Errorf("read the run: %w", err)
	}
	if failed := len(found.in(failedState)); failed > 0 {
		return fmt.Errorf("%d failed", failed)
	}
	return nil
}

// sum adds up the runs in the named files and fails unless all is as it must be.
func sum(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("sum", flag.ContinueOnError)
	suite := flags.String("suite", "full", "name of the suite: quick, full or long")
	expectedName := flags.String("expected", "", "file that lists the expected skips")
	stepsName := flags.String("steps", "", "file with the results of steps that were no Go tests")
	some := flags.Bool("some", false, "only some steps were asked for, so that no test need have run")
	if err := flags.Parse(args); err != nil {
		return err
	}
	expected, err := load(*expectedName, parseExpected)
	if err != nil {
		return err
	}
	steps, err := load(*stepsName, parseSteps)
	if err != nil {
		return err
	}
	all := newRun()
	for _, name := range flags.Args() {
		if _, err := load(name, func(in io.Reader) (struct{}, error) { return struct{}{}, all.read(in, silence{}) }); err != nil {
			return err
		}
	}
	return judge(all, steps, expectedIn(expected, *suite), *some, out)
}

// load parses a file; no name stands for an empty file.
func load[T any](name string, parse func(io.Reader) (T, error)) (T, error) {
	var nothing T
	if name == "" {
		return nothing, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nothing, err
	}
	defer file.Close()
	parsed, err := parse(file)
	if err != nil {
		return nothing, fmt.Errorf("read %s: %w", name, err)
	}
	return parsed, nil
}
