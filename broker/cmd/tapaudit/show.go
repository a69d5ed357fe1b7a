package main

import (
	"cmp"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"tapline/proto/record"
)

type showFlags struct {
	reading
	person string
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
	f.flags(c)
	c.Flags().StringVar(&f.person, "person", "", "only this person (ID)")
	return c
}

func (f *showFlags) run(c *cobra.Command, paths []string) error {
	format, err := formatOf(f.output, f.json)
	if err != nil {
		return err
	}
	chains, err := f.chains(c, paths)
	if err != nil {
		return err
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

func (f *showFlags) print(w io.Writer, stays []stay, format string) error {
	rows := slices.DeleteFunc(stays, func(s stay) bool {
		return !f.wants(s.Station) || f.person != "" && s.Person != record.PersonID(f.person)
	})
	return table(w, format, "STATION\tWHO\tFROM\tUNTIL\tFOR\tMODE\tDECIDED BY\tENDED BY", rows, func(s stay) []string {
		return []string{
			string(s.Station), s.who(), clock(s.From), clock(s.Until), s.length(), orDash(string(s.Mode)), orDash(s.By), orDash(s.Ended),
		}
	})
}

func orDash(s string) string { return cmp.Or(s, "-") }

func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}
