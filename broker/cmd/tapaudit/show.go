package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tapline/proto/record"
	"tapline/proto/record/evidence"
)

type showFlags struct {
	output     string
	json       bool
	station    string
	person     string
	unverified bool
	keys       []string
}

func newShow() *cobra.Command {
	var f showFlags
	c := &cobra.Command{
		Use:   "show PATH...",
		Short: "Show who was at which station, and when",
		Long: `Show lists the sessions that the records under the paths tell of: who, where, from when to when, and what
ended it. It checks the evidence first and shows nothing of evidence that is bad, unless told to. Times are
the station's clock, in UTC.`,
		Example: `  tapaudit show ./evidence --station oslo/packing/
  tapaudit show ./evidence -o json | jq -r .person`,
		Args: onePath,
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, args) },
	}
	c.Flags().StringVar(&f.station, "station", "", "only this station; with a slash at the end, all below")
	c.Flags().StringVar(&f.person, "person", "", "only this person (ID)")
	c.Flags().BoolVar(&f.unverified, "unverified", false, "show what bad evidence says too")
	c.Flags().StringArrayVar(&f.keys, "trust-key", nil, "believe this evidence key (base64) and no other; may be repeated")
	c.Flags().StringVarP(&f.output, "output", "o", "table", "table or json (one object a line)")
	c.Flags().BoolVar(&f.json, "json", false, "same as -o json")
	return c
}

func (f *showFlags) run(c *cobra.Command, paths []string) error {
	format, err := formatOf(f.output, f.json)
	if err != nil {
		return err
	}
	trust, err := trustOf(f.keys)
	if err != nil {
		return err
	}
	chains, err := find(paths)
	if err != nil {
		return err
	}
	findings, err := check(c.Context(), chains, evidence.Options{Trust: trust})
	if err != nil {
		return err
	}
	if bad := firstFault(findings); bad != nil {
		fmt.Fprintf(c.ErrOrStderr(), "BAD: %v\n", bad)
		if !f.unverified {
			fmt.Fprintln(c.ErrOrStderr(), "hint: tapaudit verify says more; --unverified shows what it says all the same")
			return errBad
		}
	}
	var stays []stay
	for _, chain := range chains {
		found, err := staysOf(chain, f.unverified)
		if err != nil {
			return err
		}
		stays = append(stays, found...)
	}
	slices.SortStableFunc(stays, func(a, b stay) int {
		return cmp.Or(cmp.Compare(a.Station, b.Station), a.From.Compare(b.From))
	})
	return f.print(c.OutOrStdout(), stays, format)
}

func (f *showFlags) wants(s stay) bool {
	station := string(s.Station)
	return (f.station == "" || station == f.station || strings.HasSuffix(f.station, "/") && strings.HasPrefix(station, f.station)) &&
		(f.person == "" || s.Person == record.PersonID(f.person))
}

func (f *showFlags) print(w io.Writer, stays []stay, format string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if format == formatTable {
		fmt.Fprintln(t, "STATION\tWHO\tFROM\tUNTIL\tFOR\tMODE\tDECIDED BY\tENDED BY")
	}
	for _, s := range stays {
		if !f.wants(s) {
			continue
		}
		if format == formatJSON {
			if err := printJSON(w, s); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Station, s.who(), clock(s.From), clock(s.Until), s.length(),
			orDash(string(s.Mode)), orDash(s.By), orDash(s.Ended))
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("%w: %w", errWrite, err)
	}
	return nil
}

func orDash(s string) string { return cmp.Or(s, "-") }

func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}
