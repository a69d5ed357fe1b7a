package main

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"
	_ "time/tzdata" // for machines without a database of time zones: Windows, small containers

	"github.com/spf13/cobra"

	"tapline/proto/record"
	"tapline/proto/record/coverage"
	"tapline/proto/record/evidence"
)

type coverageFlags struct {
	reading
	day      string
	from, to string
	zone     string
}

func newCoverage() *cobra.Command {
	var f coverageFlags
	c := &cobra.Command{
		Use:   "coverage PATH...",
		Short: "Account for every second of a station's day",
		Long: `Coverage says for each station and calendar day how many seconds were

  named          somebody was signed in, by a record that was durable
  emergency      the emergency was open
  unattributed   in use, or signed in, and nobody can be named by a record
  idle           nobody was there
  agent down     nothing vouches for the time: stopped, killed, no power, asleep

They add up to the length of the day: 86,400 s in UTC; 23 or 25 hours on the days on which --zone changes its
clocks. Lengths are measured by the time since boot, and placed by the broker's time where the station heard
it, so that a clock that is set neither loses nor doubles a second. The rules are in the documentation of
package proto/record/coverage.

Without --day, --from and --to it goes from the first record to the last sign of life. With them, days are
whole, and time that no record tells of is agent down.`,
		Example: `  tapaudit coverage ./evidence --day 2026-11-24
  tapaudit coverage ./evidence --from 2026-11-01 --to 2026-11-30 --zone Europe/Oslo -o csv >november.csv
  tapaudit coverage /var/lib/tapline-agent/journal -o json | jq .unattributed`,
		Args: onePath,
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, args) },
	}
	f.flags(c)
	c.Flags().Lookup("output").Usage = "table, csv or json (one object a line)"
	c.Flags().StringVar(&f.day, "day", "", "this day alone (2026-11-24)")
	c.Flags().StringVar(&f.from, "from", "", "from this day on")
	c.Flags().StringVar(&f.to, "to", "", "up to this day, which counts")
	c.Flags().StringVar(&f.zone, "zone", "UTC", "time zone of the days, as Europe/Oslo")
	c.MarkFlagsMutuallyExclusive("day", "from")
	c.MarkFlagsMutuallyExclusive("day", "to")
	return c
}

const formatCSV = "csv"

func (f *coverageFlags) run(c *cobra.Command, paths []string) error {
	format := f.output
	if format != formatCSV || f.json {
		var err error
		if format, err = formatOf(f.output, f.json); err != nil {
			return hint(err, "use -o table, -o csv or -o json")
		}
	}
	span, err := f.span()
	if err != nil {
		return err
	}
	chains, err := f.chains(c, paths)
	if err != nil {
		return err
	}
	folds, err := foldsOf(chains, f.wants, f.unverified)
	if err != nil {
		return err
	}
	var rows []coverageRow
	for _, s := range folds {
		rows = append(rows, span.rows(s)...)
	}
	return printCoverage(c.OutOrStdout(), rows, format)
}

// span is the days that were asked for; zero times stand for all that the records tell of.
type span struct {
	from, until time.Time
	zone        *time.Location
}

func (f *coverageFlags) span() (span, error) {
	zone, err := time.LoadLocation(f.zone)
	if err != nil {
		return span{}, hint(fmt.Errorf("--zone %q: %w", f.zone, err), "name a zone of the IANA database, as Europe/Oslo, or leave it out for UTC")
	}
	s := span{zone: zone}
	day := func(flag, text string) (time.Time, error) {
		if text == "" {
			return time.Time{}, nil
		}
		t, err := time.ParseInLocation(time.DateOnly, text, time.UTC)
		if err != nil {
			return t, hint(fmt.Errorf("--%s %q is no day", flag, text), "write it as 2026-11-24")
		}
		y, m, d := t.Date()
		return coverage.Midnight(time.Date(y, m, d, 12, 0, 0, 0, zone)), nil
	}
	from, to := cmp.Or(f.day, f.from), cmp.Or(f.day, f.to)
	first, err := day("from", from)
	if err != nil {
		return s, err
	}
	last, err := day("to", to)
	if err != nil {
		return s, err
	}
	if !first.IsZero() && !last.IsZero() && last.Before(first) {
		return s, hint(fmt.Errorf("--to %s is before --from %s", to, from), "give the earlier day to --from")
	}
	s.from = first
	if !last.IsZero() {
		y, m, d := last.Date()
		s.until = coverage.Midnight(time.Date(y, m, d+1, 12, 0, 0, 0, zone))
	}
	return s, nil
}

// stationFold is what one station's chains tell.
type stationFold struct {
	station record.StationID
	fold    coverage.Fold
}

// foldsOf reads the chains of each station, oldest first. A broker's own chain is no station's.
func foldsOf(chains []evidence.Chain, wants func(record.StationID) bool, lenient bool) ([]*stationFold, error) {
	type dated struct {
		chain evidence.Chain
		id    record.StationStatement
	}
	var all []dated
	for _, c := range chains {
		e, err := c.Statement()
		var id record.StationStatement
		if err == nil {
			id, err = record.ReadStation(e)
		}
		if err != nil && lenient {
			continue
		}
		if err != nil {
			return nil, hint(err, "tapaudit verify names the chain that is bad")
		}
		if wants(id.Station) {
			all = append(all, dated{c, id})
		}
	}
	slices.SortStableFunc(all, func(a, b dated) int {
		return cmp.Or(cmp.Compare(a.id.Station, b.id.Station), a.id.EnrolledAt.Compare(b.id.EnrolledAt))
	})
	var folds []*stationFold
	for _, d := range all {
		if n := len(folds); n == 0 || folds[n-1].station != d.id.Station {
			folds = append(folds, &stationFold{station: d.id.Station})
		}
		s := folds[len(folds)-1]
		s.fold.Enrolled(d.id.EnrolledAt)
		if err := payloadsOf(d.chain, lenient, s.fold.Add); err != nil {
			return nil, err
		}
	}
	return folds, nil
}

// coverageRow is one day of a station. Its seconds add up.
type coverageRow struct {
	Station      record.StationID `json:"station"`
	Day          string           `json:"day"`
	From         time.Time        `json:"from"`
	Until        time.Time        `json:"until"`
	Seconds      int64            `json:"seconds"`
	Named        int64            `json:"named"`
	Emergency    int64            `json:"emergency"`
	Unattributed int64            `json:"unattributed"`
	Idle         int64            `json:"idle"`
	Down         int64            `json:"agent_down"`
	// ByStationClock is how many of the seconds are placed by the station's own clock alone.
	ByStationClock int64 `json:"by_station_clock"`
}

func (s span) rows(f *stationFold) []coverageRow {
	all := f.fold.Intervals()
	if len(all) == 0 {
		return nil
	}
	from, until := s.from, s.until
	if from.IsZero() {
		from = all[0].From
	}
	if until.IsZero() {
		until = all[len(all)-1].Until
	}
	var rows []coverageRow
	for _, d := range coverage.Days(all, from, until, s.zone) {
		n := d.Totals.Seconds()
		rows = append(rows, coverageRow{
			Station: f.station, Day: d.From.Format(time.DateOnly), From: d.From, Until: d.Until,
			Seconds: int64(d.Until.Sub(d.From) / time.Second),
			Named:   n[coverage.Named], Emergency: n[coverage.Emergency], Unattributed: n[coverage.Unattributed], Idle: n[coverage.Idle], Down: n[coverage.Down],
			ByStationClock: int64(d.ByStationClock / time.Second),
		})
	}
	return rows
}

func (r coverageRow) counts() []int64 {
	return []int64{r.Named, r.Emergency, r.Unattributed, r.Idle, r.Down, r.Seconds}
}

func printCoverage(w io.Writer, rows []coverageRow, format string) error {
	switch format {
	case formatJSON:
		for _, r := range rows {
			if err := printJSON(w, r); err != nil {
				return err
			}
		}
		return nil
	case formatCSV:
		return coverageCSV(w, rows)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "STATION\tDAY\tNAMED\tEMERGENCY\tUNATTRIBUTED\tIDLE\tAGENT DOWN\tTOTAL")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s", r.Station, r.Day)
		for _, n := range r.counts() {
			fmt.Fprintf(t, "\t%d:%02d:%02d", n/3600, n/60%60, n%60)
		}
		fmt.Fprintln(t)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("%w: %w", errWrite, err)
	}
	return nil
}

func coverageCSV(w io.Writer, rows []coverageRow) error {
	c := csv.NewWriter(w)
	lines := [][]string{{"station", "day", "named", "emergency", "unattributed", "idle", "agent_down", "seconds"}}
	for _, r := range rows {
		line := []string{string(r.Station), r.Day}
		for _, n := range r.counts() {
			line = append(line, strconv.FormatInt(n, 10))
		}
		lines = append(lines, line)
	}
	if err := c.WriteAll(lines); err != nil {
		return fmt.Errorf("%w: %w", errWrite, err)
	}
	return nil
}
