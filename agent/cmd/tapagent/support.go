package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"tapline/agent"
	"tapline/agent/support"
	"tapline/installer/osservice"
	taplinev1 "tapline/proto/tapline/v1"
)

// checkWithin is how long the checks of a support bundle may take.
const checkWithin = 20 * time.Second

func (c *cli) supportCommand() *cobra.Command {
	var output string
	var goroutines bool
	s := &cobra.Command{
		Use:   "support-bundle",
		Short: "Gather what helps somebody else to help, without secrets",
		Long: `Writes one zip file with versions, the configuration without secrets, the agent's
status, last log lines and metrics, what "tapagent check" finds, and the heads of
the journal's last records. LISTING.txt in it says what each file holds.

It holds no badge numbers, PINs, keys or tokens, and no names or IDs of people: a
person is a pseudonym that is another in each archive. An agent that does not run
is no hindrance. Nothing is sent: look at it, then hand it on.`,
		Example: "  sudo tapagent support-bundle\n  sudo tapagent support-bundle -o /media/usb/press-4.zip",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.load()
			if err != nil {
				return err
			}
			now := time.Now()
			in := support.Input{Build: build(), Made: now, Journal: agent.JournalDir(cfg), Goroutines: goroutines}
			if in.Config, err = yaml.Marshal(cfg); err != nil {
				return err
			}
			in.Status, in.Diagnostics, in.Silent = askAll(cmd.Context(), cfg)
			if output == "" {
				output = fmt.Sprintf("tapline-support-%s-%s.zip", path.Base(in.Status.GetStation()), now.Format("20060102-150405"))
			}
			out, err := os.OpenFile(filepath.Clean(output), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
			if errors.Is(err, fs.ErrExist) {
				return osservice.Fault(osservice.Usage, err, "give another name with -o, or move that file away")
			}
			if err != nil {
				return osservice.Fault(osservice.NotPermitted, err, "name a place with -o where this account may write")
			}
			if err := becomeOwner(cfg.StateDir); err != nil {
				return errors.Join(err, out.Close())
			}
			in.Checks = checkLines(cmd.Context(), cfg)
			files, err := support.Write(out, in)
			if err = errors.Join(err, out.Close()); err != nil {
				return err
			}
			return printBundle(cmd.OutOrStdout(), output, files, in.Silent)
		},
	}
	s.Flags().StringVarP(&output, "output", "o", "", "the file to write (default: tapline-support-STATION-TIME.zip here)")
	s.Flags().BoolVar(&goroutines, "goroutines", false, "also what the agent's goroutines do")
	return s
}

// askAll asks the running agent for its status and its diagnostics. The error says why there are none.
func askAll(ctx context.Context, cfg agent.Config) (st *taplinev1.GetStatusResponse, d *taplinev1.GetDiagnosticsResponse, err error) {
	err = call(ctx, cfg, 2*askWithin, func(ctx context.Context, local taplinev1.LocalServiceClient) (err error) {
		if st, err = local.GetStatus(ctx, &taplinev1.GetStatusRequest{}); err != nil {
			return said(err)
		}
		if d, err = local.GetDiagnostics(ctx, &taplinev1.GetDiagnosticsRequest{}); err != nil {
			return said(err)
		}
		return nil
	})
	return st, d, err
}

func checkLines(ctx context.Context, cfg agent.Config) (all []string) {
	ctx, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	for _, f := range agent.Check(ctx, cfg) {
		mark := "ok   "
		if f.Err != nil {
			mark = "FAULT"
		}
		all = append(all, fmt.Sprintf("%s  %-13s %s", mark, f.What, f.Says()))
	}
	return all
}

func printBundle(out io.Writer, name string, files []support.File, silent error) error {
	if _, err := fmt.Fprintf(out, "wrote %s:\n", name); err != nil {
		return err
	}
	for _, f := range files {
		if _, err := fmt.Fprintf(out, "  %-16s %s\n", f.Name, f.About); err != nil {
			return err
		}
	}
	if silent != nil {
		if _, err := fmt.Fprintf(out, "less than there could be, because the agent does not answer: %v\n", silent); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(out, "look at it before you hand it on")
	return err
}
