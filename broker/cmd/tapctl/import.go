package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"tapline/installer/osservice"
	taplinev1 "tapline/proto/tapline/v1"
)

// maxImport is the largest file that a broker takes.
const maxImport = 16 << 20

func importCommand(o *options) *cobra.Command {
	req := &taplinev1.ImportDirectoryRequest{}
	var leavers string
	c := &cobra.Command{
		Use: "import FILE", Short: "Take people and badges from a CSV file", Args: cobra.ExactArgs(1),
		Long: `Reads a CSV file (UTF-8; commas, semicolons or tabs) whose first line names the
columns: id, display_name, language, roles, certifications, shifts, seniority,
suspended, badge, badge_format, badge_label, badge_not_after, badge_technology,
badge_assurance. Only id is needed; what has no column stays as it is. Lists have
a | between their words, a certification is NAME or NAME=2027-03-31. Somebody with
several badges has a line for each. FILE is - for standard input.

A badge is a UID in hex (04A1B2C3), or FORMAT:NUMBER as printed on the card, such
as h10301:123:45678 (Wiegand 26 bits: facility and card), n10002, c1000-35, h10302,
h10304, or what a serial reader sends: hex:DIGITS, decimal:DIGITS or text:LINE, by
the reader's "format" in the station's configuration (hex unless it says otherwise).

All of the file is taken, or nothing: every fault is listed with its line. People
that administrators or other sources have entered are not touched. With
--source-leavers=suspend whoever an earlier file had and this one has not is
suspended, and their badges are dead at once.`,
		Example: `  tapctl import people.csv --dry-run
  tapctl import people.csv --source-leavers=suspend --zone Europe/Berlin
  tapctl import people.csv -o json`,
		RunE: func(c *cobra.Command, args []string) error {
			switch leavers {
			case "keep":
				req.Leavers = taplinev1.ImportLeavers_IMPORT_LEAVERS_KEEP
			case "suspend":
				req.Leavers = taplinev1.ImportLeavers_IMPORT_LEAVERS_SUSPEND
			default:
				return usage("--source-leavers %q: want keep or suspend", leavers)
			}
			req.Separator = map[string]string{"tab": "\t"}[req.GetSeparator()] + strings.TrimPrefix(req.GetSeparator(), "tab")
			var err error
			if req.Csv, err = o.packed(args[0]); err != nil {
				return err
			}
			return o.stream(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.ImportDirectory(ctx, req)
				if err != nil {
					return err
				}
				return showImport(c, o, args[0], req.GetDryRun(), r)
			})
		},
	}
	f := c.Flags()
	f.BoolVar(&req.DryRun, "dry-run", false, "only show what would change")
	f.StringVar(&leavers, "source-leavers", "keep", "people of earlier files who are not in this one: keep or suspend")
	f.BoolVar(&req.Force, "force", false, "take it although many people would lose their access at once")
	f.StringVar(&req.Separator, "separator", "", `between columns: ",", ";" or tab (default: found out)`)
	f.StringVar(&req.TimeZone, "zone", "UTC", "time zone in which a day of the file ends, such as Europe/Berlin")
	return c
}

// packed reads a file and packs it.
func (o *options) packed(path string) ([]byte, error) {
	in := o.in
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, usage("%v", err)
		}
		defer f.Close()
		in = f
	}
	plain, err := io.ReadAll(io.LimitReader(in, maxImport+1))
	if err != nil {
		return nil, usage("read %s: %v", path, err)
	}
	if len(plain) > maxImport {
		return nil, usage("%s is larger than %d MiB", path, maxImport>>20)
	}
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(plain); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// showImport prints the outcome. Faults are an error of the command.
func showImport(c *cobra.Command, o *options, file string, dry bool, r *taplinev1.ImportDirectoryResponse) error {
	if o.output == "json" {
		if err := printJSON(c.OutOrStdout(), r); err != nil {
			return err
		}
	} else if err := importTable(c.OutOrStdout(), file, dry, r); err != nil {
		return err
	}
	if n := len(r.GetFaults()); n > 0 {
		return osservice.Fault(osservice.Refused, fmt.Errorf("faults in %s: %d", file, n), "nothing was changed; correct the lines and try again")
	}
	if r.GetHeld() != "" {
		return osservice.Fault(osservice.Refused, errors.New(r.GetHeld()), "without --dry-run it would be refused; --force takes it all the same")
	}
	return nil
}

func importTable(out io.Writer, file string, dry bool, r *taplinev1.ImportDirectoryResponse) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	for _, f := range r.GetFaults() {
		place := fmt.Sprintf("%s:%d", file, f.GetLine())
		fmt.Fprintf(w, "%s\t%s\t%s\n", place, fallback(clean(f.GetColumn()), "-"), clean(f.GetProblem()))
	}
	if len(r.GetFaults()) > 0 {
		return w.Flush()
	}
	if len(r.GetChanges()) > 0 {
		fmt.Fprintln(w, "PERSON\tWHAT\tFIELDS")
	}
	for _, ch := range r.GetChanges() {
		fmt.Fprintf(w, "%s\t%s\t%s\n", clean(ch.GetPerson()), ch.GetKind(), fallback(strings.Join(ch.GetWhat(), ", "), "-"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	would := ""
	if dry {
		would = " (dry run: nothing was changed)"
	}
	_, err := fmt.Fprintf(out, "%d added, %d changed, %d left, %d unchanged%s\n", r.GetAdded(), r.GetChanged(), r.GetLeft(), r.GetUnchanged(), would)
	return err
}
