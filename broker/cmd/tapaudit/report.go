package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"tapline/proto/record"
	"tapline/proto/record/evidence"
)

// report is the result of verify. The first four keys are a promise to whoever reads the JSON; more may come after them.
type report struct {
	OK       bool     `json:"ok"`
	Records  uint64   `json:"records"` // that were found good
	Stations int      `json:"stations"`
	FirstBad *badSpot `json:"first_bad"` // null when ok

	Trust  trustReport   `json:"trust"`
	Chains []chainReport `json:"chains"`
	Logs   []logReport   `json:"logs"` // empty: the evidence has none
}

// logReport is what the log of one export says of it.
type logReport struct {
	Origin    string      `json:"origin"`
	Size      uint64      `json:"size"`
	Root      string      `json:"root"`
	OK        bool        `json:"ok"`
	Records   uint64      `json:"records"`   // of the evidence that are in the log
	Unlogged  uint64      `json:"unlogged"`  // of the evidence that were stored after the checkpoint
	Cosigned  []cosigning `json:"cosigned"`  // by witnesses that were named
	Continues bool        `json:"continues"` // the checkpoint that was given with --since
	Bad       *badSpot    `json:"bad,omitempty"`
	Path      string      `json:"path"`
}

type cosigning struct {
	Witness string    `json:"witness"`
	At      time.Time `json:"at"`
}

func newLogReport(f evidence.LogFinding) logReport {
	r := logReport{
		Origin: f.Origin, Size: f.Size, Root: f.Root.String(), OK: f.Fault == nil, Records: f.Records, Unlogged: f.Unlogged, Cosigned: []cosigning{},
		Continues: f.Continues, Bad: spot(f.Fault), Path: f.Dir,
	}
	for _, c := range f.Cosignatures {
		r.Cosigned = append(r.Cosigned, cosigning{c.Witness.Name(), c.At})
	}
	return r
}

// say is the log in a line or two, for a person.
func (r logReport) say() string {
	if r.Bad != nil {
		return "log: BAD: " + string(r.Bad.Reason)
	}
	s := fmt.Sprintf("log: %s of %d in %s", count(r.Records, "record"), r.Size, r.Origin)
	if r.Unlogged > 0 {
		s += fmt.Sprintf("; %d stored after its checkpoint", r.Unlogged)
	}
	if r.Continues {
		s += "; continues the earlier checkpoint"
	}
	for _, c := range r.Cosigned {
		s += fmt.Sprintf("\nlog: cosigned by %s at %s", c.Witness, clock(c.At))
	}
	return s
}

// noLog is said of evidence that has none.
const noLog = "log: none in this evidence"

// noLogSays is what an export without a log cannot show. A journal has none and is of one station.
func (r report) noLogSays() string {
	if !slices.ContainsFunc(r.Chains, func(c chainReport) bool { return c.Form == evidence.Export }) {
		return ""
	}
	return `
WARNING: nothing here shows that no chain was left out. If the broker keeps a log (tapctl log checkpoint),
ask for the export again with it.`
}

type badSpot struct {
	Station record.StationID `json:"station"`
	Seq     record.Seq       `json:"seq"`
	Reason  record.FaultKind `json:"reason"`
	Chain   record.ChainID   `json:"chain"`
	Detail  string           `json:"detail"`
}

type trustReport struct {
	Pinned bool     `json:"pinned"` // by --trust-key; otherwise the evidence vouches for itself
	Keys   []string `json:"keys"`
}

type chainReport struct {
	Station     record.StationID `json:"station"`
	Chain       record.ChainID   `json:"chain"`
	Form        evidence.Form    `json:"form,omitempty"`
	OK          bool             `json:"ok"`
	Records     uint64           `json:"records"`
	First       record.Seq       `json:"first"`
	Last        record.Seq       `json:"last"`
	Unreceipted uint64           `json:"unreceipted"` // at the end, vouched for by the station alone
	Bad         *badSpot         `json:"bad,omitempty"`
	Path        string           `json:"path,omitempty"`
}

func newReport(findings []evidence.Finding, logs []evidence.LogFinding, pinned bool) report {
	r := report{Trust: trustReport{Pinned: pinned, Keys: []string{}}, FirstBad: spot(firstFault(findings)), Logs: []logReport{}}
	for _, f := range logs {
		r.Logs = append(r.Logs, newLogReport(f))
		if r.FirstBad == nil {
			r.FirstBad = spot(f.Fault)
		}
	}
	r.OK = r.FirstBad == nil
	stations, keys := map[record.StationID]bool{}, map[string]bool{}
	for _, f := range findings {
		r.Records += f.Records
		stations[f.Station] = true
		for _, k := range f.Trust.Keys {
			if s := k.Key.String(); !keys[s] {
				keys[s] = true
				r.Trust.Keys = append(r.Trust.Keys, s)
			}
		}
		r.Chains = append(r.Chains, chainReport{
			Station: f.Station, Chain: f.ID, Form: f.Chain.Form, OK: f.Fault == nil, Records: f.Records,
			First: f.First, Last: f.Last, Unreceipted: f.Unreceipted, Bad: spot(f.Fault), Path: f.Chain.Dir,
		})
	}
	r.Stations = len(stations)
	return r
}

func spot(f *record.Fault) *badSpot {
	if f == nil {
		return nil
	}
	return &badSpot{f.Station, f.Seq, f.Kind, f.Chain, f.Detail}
}

func (r report) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "STATION\tCHAIN\tRECORDS\tFROM\tTO\tNO RECEIPT\tRESULT")
	for _, c := range r.Chains {
		result := "good"
		if c.Bad != nil {
			result = fmt.Sprintf("BAD at %d: %s", c.Bad.Seq, c.Bad.Reason)
		}
		fmt.Fprintf(t, "%s\t%.8s\t%d\t%d\t%d\t%d\t%s\n", c.Station, c.Chain, c.Records, c.First, c.Last, c.Unreceipted, result)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("%w: %w", errWrite, err)
	}
	says := []string{noLog + r.noLogSays()}
	if len(r.Logs) > 0 {
		says = nil
	}
	for _, l := range r.Logs {
		says = append(says, l.say())
	}
	switch b := r.FirstBad; {
	case r.OK:
		says = append(says, fmt.Sprintf("\nGOOD: %s, %s.", count(r.Records, "record"), count(uint64(r.Stations), "station")))
	case b.Station == "":
		says = append(says, fmt.Sprintf("\nBAD: the log: %s\n  %s", b.Reason, b.Detail))
	default:
		says = append(says, fmt.Sprintf("\nBAD: station %s, record %d: %s\n  %s", b.Station, b.Seq, b.Reason, b.Detail))
	}
	if _, err := fmt.Fprintf(w, "\n%s\n", strings.Join(says, "\n")); err != nil {
		return fmt.Errorf("%w: %w", errWrite, err)
	}
	return nil
}

func count(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("%w: %w", errWrite, err)
	}
	return nil
}
