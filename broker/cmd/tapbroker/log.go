package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tapline/broker"
	"tapline/broker/store"
	"tapline/broker/tlog"
	"tapline/installer/osservice"
)

func (c *cli) logCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "log", Short: "Check and mend the Merkle log in the store",
		Long: `The broker keeps all records in one append-only log whose signed head, the
checkpoint, is the promise to auditors that none of them changes. Its tiles are
worked out from the records and can be made anew; what was signed can not.`,
	}
	cmd.AddCommand(c.logVerify(), c.logRebuild(), c.logRestart())
	return cmd
}

// withStoreAlone does what withStore does, and refuses beside a broker whose store is in the data folder.
func (c *cli) withStoreAlone(cmd *cobra.Command, do func(broker.Config, *store.Store) error) (err error) {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	unlock, err := lockData(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	err = c.withStore(cmd, do)
	if errors.Is(err, store.ErrInUse) {
		return osservice.Fault(osservice.Refused, err, "stop every broker on this store, wait ten seconds and run it again")
	}
	return err
}

// withStore runs do with the store, whose schema must be this version's.
func (c *cli) withStore(cmd *cobra.Command, do func(broker.Config, *store.Store) error) (err error) {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	s, err := openStore(cmd.Context(), cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	schema, err := s.Schema(cmd.Context())
	if err != nil {
		return err
	}
	if !schema.Current() {
		return osservice.Fault(osservice.Config, fmt.Errorf("the store has schema %d, this version wants %d", schema.Have, schema.Want), "run tapbroker migrate first")
	}
	return do(cfg, s)
}

func (c *cli) logVerify() *cobra.Command {
	return &cobra.Command{
		Use: "verify", Short: "Work the log out from the records, and compare", Args: cobra.NoArgs,
		Long: `Works the whole log out from the records and compares tiles, heads and the
published checkpoint (DATA/checkpoint) with it. It changes nothing and may run
beside the broker. Exit code 1 if anything is wrong.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withStore(cmd, func(cfg broker.Config, s *store.Store) error {
				bar := recordBar(cmd.ErrOrStderr())
				r, err := tlog.Verify(cmd.Context(), s, cfg.Data, func(n int) { _ = bar.Set(n) })
				return sayReport(cmd, r, errors.Join(err, bar.Finish()), "tapbroker log rebuild makes tiles anew; where heads differ from the records, somebody changed records: keep the store as it is, and ask for help")
			})
		},
	}
}

func (c *cli) logRebuild() *cobra.Command {
	return &cobra.Command{
		Use: "rebuild", Short: "Make the tiles of the log anew from the records", Args: cobra.NoArgs,
		Long: `Makes the tiles of the log anew from the records. Heads that were signed stay, and
are compared. Every broker on the store must be stopped: one that is seen to run is a
refusal, one that is started meanwhile an error at the end.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withStoreAlone(cmd, func(cfg broker.Config, s *store.Store) error {
				bar := recordBar(cmd.ErrOrStderr())
				r, err := tlog.Rebuild(cmd.Context(), s, cfg.Data, func(n int) { _ = bar.Set(n) })
				return sayReport(cmd, r, errors.Join(err, bar.Finish()), "the records are others than those that were signed: keep the store as it is, and ask for help")
			})
		},
	}
}

func (c *cli) logRestart() *cobra.Command {
	var sure bool
	cmd := &cobra.Command{
		Use: "restart", Short: "Begin a new log, when the store of the old one was lost", Args: cobra.NoArgs,
		Long: `A store that was put back from an older copy lacks records that were signed for, and
a broker does not start on it. If there is no newer copy, begin a new log: it has a
new name and key, holds all records that the store has, and contradicts nothing. The
published checkpoint is kept beside it, as DATA/checkpoint.lost-*; an alarm tells.

Auditors and witnesses hold checkpoints of the old log: tell them what was lost and
why, and give them the new key (tapctl log key). Every broker on the store must be
stopped, and one that is seen to run is a refusal; run this on one machine, and move DATA/checkpoint away on the others.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !sure {
				return osservice.Fault(osservice.Usage, errors.New("this ends the log that auditors know"), "add --yes if there is no newer copy of the store")
			}
			return c.withStoreAlone(cmd, func(cfg broker.Config, s *store.Store) error {
				kept, err := tlog.Restart(cmd.Context(), s, cfg.Data, time.Now())
				if err != nil {
					return err
				}
				if kept != "" {
					kept = "; the old checkpoint is in " + kept
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "the next start begins a new log%s\n", kept)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&sure, "yes", false, "there is no newer copy of the store")
	return cmd
}

func sayReport(cmd *cobra.Command, r tlog.Report, err error, hint string) error {
	if err != nil && !errors.Is(err, tlog.ErrFork) {
		return err
	}
	if err != nil {
		r.Faults = append(r.Faults, err)
	}
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "records   %d\nlog       %d\nheads     %d\ntiles     %d\n", r.Records, r.Size, r.Heads, r.Tiles)
	for _, f := range r.Faults {
		fmt.Fprintf(out, "fault     %v\n", f)
	}
	if len(r.Faults) > 0 {
		return osservice.Fault(osservice.Failure, fmt.Errorf("faults: %d", len(r.Faults)), hint)
	}
	_, err = fmt.Fprintln(out, "all good")
	return err
}

// recordBar is a progress bar on a terminal, and nothing elsewhere.
func recordBar(w io.Writer) *progressbar.ProgressBar { return barOf(w, "records") }

// rowBar is the same for rows of the store.
func rowBar(w io.Writer) *progressbar.ProgressBar { return barOf(w, "rows") }

func barOf(w io.Writer, what string) *progressbar.ProgressBar {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return progressbar.DefaultSilent(-1)
	}
	return progressbar.NewOptions64(-1, progressbar.OptionSetWriter(w), progressbar.OptionShowCount(), progressbar.OptionSetDescription(what),
		progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100*time.Millisecond))
}
