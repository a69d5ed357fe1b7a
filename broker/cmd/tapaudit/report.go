package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

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

func newReport(findings []evidence.Finding, pinned bool) report {
	r := report{Trust: trustReport{Pinned: pinned, Keys: []string{}}, FirstBad: spot(firstFault(findings))}
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
	if r.OK {
		_, err := fmt.Fprintf(w, "\nGOOD: %s, %s.\n", count(r.Records, "record"), count(uint64(r.Stations), "station"))
		return err
	}
	_, err := fmt.Fprintf(w, "\nBAD: station %s, record %d: %s\n  %s\n", r.FirstBad.Station, r.FirstBad.Seq, r.FirstBad.Reason, r.FirstBad.Detail)
	return err
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
