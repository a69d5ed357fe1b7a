package osservice

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// Execute runs a command tree and gives back the code for os.Exit. It is the whole of a main:
//
//	func main() { os.Exit(int(osservice.Execute(context.Background(), newRoot()))) }
//
// Faults are printed on stderr as "error: ..." and, when there is one, "hint: ...". What the command line got wrong
// (unknown command, unknown flag, wrong arguments) ends with [Usage], everything else with [CodeOf].
func Execute(ctx context.Context, root *cobra.Command) ExitCode {
	root.SilenceErrors, root.SilenceUsage = true, true
	markUsage(root)
	err := root.ExecuteContext(ctx)
	if err != nil {
		report(root.ErrOrStderr(), err)
	}
	return CodeOf(err)
}

// report prints for people; its form is the same in every command.
func report(w io.Writer, err error) {
	_, _ = fmt.Fprintln(w, "error:", err)
	if hint := HintOf(err); hint != "" {
		_, _ = fmt.Fprintln(w, "hint:", hint)
	}
}

// markUsage gives every complaint about the command line its code, for the command and all below it. Commands that only
// group others refuse an unknown verb instead of printing help and ending well.
func markUsage(c *cobra.Command) {
	c.SetFlagErrorFunc(usageFault)
	check := c.Args
	switch {
	case c.HasSubCommands() && (check == nil || !c.Runnable()):
		c.Args = knownVerb
	case check == nil:
		c.Args = wellFormed(cobra.ArbitraryArgs)
	default:
		c.Args = wellFormed(check)
	}
	if c.HasSubCommands() && !c.Runnable() {
		c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	}
	for _, child := range c.Commands() {
		markUsage(child)
	}
}

// wellFormed checks arguments and, with them, which flags must be there: cobra looks at those only when a command's own hooks have run.
func wellFormed(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		for _, err := range []error{check(c, args), c.ValidateRequiredFlags(), c.ValidateFlagGroups()} {
			if err != nil {
				return usageFault(c, err)
			}
		}
		return nil
	}
}

func usageFault(c *cobra.Command, err error) error {
	return Fault(Usage, err, "\""+c.CommandPath()+" --help\" shows what it takes")
}

func knownVerb(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("unknown command %q for %q", args[0], c.CommandPath())
	c.SuggestionsMinimumDistance = 2
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		err = fmt.Errorf("%w; did you mean %q?", err, near[0])
	}
	return usageFault(c, err)
}
