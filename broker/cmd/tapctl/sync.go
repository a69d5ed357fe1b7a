package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"tapline/installer/osservice"
	taplinev1 "tapline/proto/tapline/v1"
)

func syncCommands(o *options) *cobra.Command {
	return noun("sync", "People from an LDAP directory: status, run, accept", `The broker keeps people as an LDAP directory or Active Directory has them, if its
configuration has the key ldap ("tapbroker check" asks the directory). Who leaves
there is suspended here, and their badges are revoked.

A safety brake holds a synchronisation by which many people would lose their
access at once: see who with "run --dry-run", then correct the directory, or let
it through with "accept".`,
		syncStatus(o), syncRun(o), syncAccept(o))
}

func syncStatus(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Say how the synchronisation is", Args: cobra.ExactArgs(0),
		Long: `Says when people were last as the directory has them, how changes are learned
("called": the server says when something changes; "asked": at each interval;
"read": everything at each interval), what fails, what the brake holds, and which
entries cannot be taken as they are. Exit code 1 while it fails or is held.`,
		RunE: func(c *cobra.Command, _ []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.GetSync(ctx, &taplinev1.GetSyncRequest{})
				if err != nil {
					return err
				}
				if o.output == "json" {
					err = printJSON(c.OutOrStdout(), r)
				} else {
					err = syncTable(c.OutOrStdout(), r.GetState())
				}
				if err != nil {
					return err
				}
				return syncFault(r.GetState())
			})
		},
	}
}

// syncFault is what of a state is an error of the command.
func syncFault(s *taplinev1.SyncState) error {
	switch {
	case s.GetHeld() != "":
		return osservice.Fault(osservice.Failure, errors.New("the safety brake holds: "+clean(s.GetHeld())),
			"tapctl sync run --dry-run says who; if that is meant: tapctl sync accept "+clean(s.GetDifference()))
	case s.GetFailingSince() != nil:
		return osservice.Fault(osservice.Failure, fmt.Errorf("it fails since %s: %s", when(s.GetFailingSince()), clean(s.GetFault())),
			"tapbroker check, on the broker's machine, asks the directory step by step")
	}
	return nil
}

func syncTable(out io.Writer, s *taplinev1.SyncState) error {
	if s == nil {
		_, err := fmt.Fprintln(out, "no LDAP directory is configured")
		return err
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%s\t%s\n", name, clean(fmt.Sprintf(format, args...)))
	}
	row("server", "%s", fallback(strings.TrimSpace(s.GetServer()+" "+s.GetKind()), "none answered yet"))
	row("people", "%d", s.GetPeople())
	row("as there", "%s", fallback(when(s.GetLastOkAt()), "never"))
	row("read whole", "%s", fallback(when(s.GetFullAt()), "never"))
	row("changes", "%s", fallback(s.GetChanges(), "-"))
	if s.GetReferrals() > 0 {
		row("referrals", "%d, not followed", s.GetReferrals())
	}
	for _, n := range s.GetNotes() {
		row("note", "%s", n)
	}
	for _, f := range s.GetFaults() {
		row("fault", "%s", f)
	}
	if more := int(s.GetFaultCount()) - len(s.GetFaults()); more > 0 {
		row("fault", "and %d more", more)
	}
	return w.Flush()
}

func syncRun(o *options) *cobra.Command {
	req := &taplinev1.RunSyncRequest{}
	c := &cobra.Command{
		Use: "run", Short: "Read the whole directory now", Args: cobra.ExactArgs(0),
		Long:    "Reads the whole directory now and takes it over. --dry-run only shows what would\nchange.",
		Example: "  tapctl sync run --dry-run\n  tapctl sync run -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			return o.stream(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.RunSync(ctx, req)
				if err != nil {
					return err
				}
				if o.output == "json" {
					err = printJSON(c.OutOrStdout(), r)
				} else {
					err = syncOutcome(c.OutOrStdout(), req.GetDryRun(), r)
				}
				if err == nil && r.GetHeld() != "" {
					err = osservice.Fault(osservice.Refused, errors.New(clean(r.GetHeld())), "without --dry-run the safety brake holds it: see tapctl sync accept --help")
				}
				return err
			})
		},
	}
	c.Flags().BoolVar(&req.DryRun, "dry-run", false, "only show what would change")
	return c
}

func syncOutcome(out io.Writer, dry bool, r *taplinev1.RunSyncResponse) error {
	err := importTable(out, "", dry, &taplinev1.ImportDirectoryResponse{
		Added: r.GetAdded(), Changed: r.GetChanged(), Unchanged: r.GetUnchanged(), Left: r.GetLeft(), Changes: r.GetChanges(),
	})
	if n := r.GetState().GetFaultCount(); err == nil && n > 0 {
		_, err = fmt.Fprintf(out, "not taken as they are: %d, see tapctl sync status\n", n)
	}
	return err
}

func syncAccept(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "accept DIFFERENCE", Short: "Let through what the safety brake holds", Args: cobra.ExactArgs(1),
		Long: `Lets one difference through, the one that "tapctl sync status" names. If the
directory says something else by the time that it is read, the brake holds again.`,
		Example: "  tapctl sync run --dry-run      # who would lose their access\n  tapctl sync accept 3f9a41c07be2",
		RunE: func(c *cobra.Command, args []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.AcceptSync(ctx, &taplinev1.AcceptSyncRequest{Difference: args[0]})
				if err != nil {
					return err
				}
				return show(c, o, r, "accepted; tapctl sync status shows when it is done")
			})
		},
	}
}
