package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// Exit status.
const (
	exitGood  = 0
	exitBad   = 1
	exitUsage = 2
)

// errBad is evidence that is bad. What is bad about it was said already.
var errBad = errors.New("the evidence is bad")

// hinted is an error with what to do next.
type hinted struct {
	err  error
	hint string
}

func (h hinted) Error() string { return h.err.Error() }
func (h hinted) Unwrap() error { return h.err }

func hint(err error, format string, args ...any) error {
	return hinted{err, fmt.Sprintf(format, args...)}
}

// run is the whole command; main only gives it the process.
func run(ctx context.Context, args []string, out, errs io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitGood
	case errors.Is(err, errBad):
		return exitBad
	}
	fmt.Fprintf(errs, "tapaudit: %v\n", err)
	var h hinted
	if !errors.As(err, &h) {
		h.hint = "tapaudit --help lists the commands, tapaudit COMMAND --help the flags of one"
	}
	fmt.Fprintf(errs, "hint: %s\n", h.hint)
	return exitUsage
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "tapaudit",
		Short: "Check who was at which station, from signed records",
		Long: `Tapaudit checks evidence of Tapline and shows what it says. Evidence is a folder: what a broker
exported, or the journal of a station. Nothing is sent anywhere and nothing is changed.

  tapaudit verify EVIDENCE --trust-key KEY    is it whole and genuine?
  tapaudit show EVIDENCE                      who was at which station, and when?
  tapaudit coverage EVIDENCE --day DAY        what became of every second of the day?
  tapaudit actions EVIDENCE                   who signed for what?
  tapaudit emergencies EVIDENCE               when was a station open without a badge, and who answered for it?
  tapaudit cat EVIDENCE --payload             the records themselves, one a line
  tapaudit log check OLD NEW                  does the broker's log continue the one of before?
  tapaudit witness --log KEY                  cosign a broker's log, so that it cannot fork unseen

Exit status: 0 good, 1 bad evidence, 2 the question could not be answered.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.AddCommand(newVerify(), newShow(), newCoverage(), newActions(), newEmergencies(), newCat(), newLog(), newWitness(), newVersion())
	root.CompletionOptions.HiddenDefaultCmd = false
	return root
}

// onePath is the Args of the commands that want evidence.
func onePath(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return nil
	}
	return hint(errors.New("no evidence given"), "name a folder, as in: %s ./evidence", c.CommandPath())
}
