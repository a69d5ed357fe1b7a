package main

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tapline/proto/record"
)

type actionsFlags struct {
	reading
	person string
	file   string
	signed bool
}

func newActions() *cobra.Command {
	var f actionsFlags
	c := &cobra.Command{
		Use:   "actions PATH...",
		Short: "Show who signed for what, and what else applications recorded",
		Long: `Actions lists what people did in applications at the stations, as the records under the paths tell: who, when,
in which application, and of what (its SHA-256). One with a meaning is an electronic signature, and the
factors are what the person showed for it. One without is no signature, such as a token that was made in the
person's name. With --file it lists those for the contents of that file, which is how a document is matched
with its signatures. The evidence is checked first, and of bad evidence nothing is shown, unless told to.
Times are the station's clock, in UTC.`,
		Example: `  tapaudit actions ./evidence --signed --person p-1002
  tapaudit actions ./evidence --file batch-4711.pdf
  tapaudit actions ./evidence -o json | jq -r '[.time, .person, .meaning, .digest] | @tsv'`,
		Args: onePath,
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, args) },
	}
	f.flags(c)
	c.Flags().StringVar(&f.person, "person", "", "only of this person (ID)")
	c.Flags().StringVar(&f.file, "file", "", "only those for the contents of this file")
	c.Flags().BoolVar(&f.signed, "signed", false, "only signatures")
	return c
}

// action is one operator.action record.
type action struct {
	Station     record.StationID `json:"station"`
	Time        time.Time        `json:"time"`
	Person      record.PersonID  `json:"person"`
	Session     record.SessionID `json:"session,omitempty"`
	Application string           `json:"application"`
	Name        string           `json:"name"`
	Meaning     string           `json:"meaning,omitempty"` // empty for what is no signature
	Digest      record.Hash      `json:"digest"`
	Factors     []string         `json:"factors,omitempty"`
	By          string           `json:"decided_by,omitempty"` // who checked the factors
	Mode        record.Mode      `json:"mode,omitempty"`
	Chain       record.ChainID   `json:"chain"`
	Seq         record.Seq       `json:"seq"`
}

func actionOf(p record.Payload) action {
	a := action{
		Station: p.Station, Time: p.Time.Wall, Person: p.Person, Session: p.Session, Application: p.Action.Application, Name: p.Action.Name,
		Meaning: p.Action.Meaning, Digest: p.Action.Digest, Mode: p.Mode, Chain: p.Chain, Seq: p.Seq,
	}
	if p.Badge != nil {
		a.Factors = p.Badge.Factors
	}
	if p.Decision != nil {
		a.By = p.Decision.By
	}
	return a
}

func (f *actionsFlags) run(c *cobra.Command, paths []string) error {
	digest, err := f.digest()
	if err != nil {
		return err
	}
	var rows []action
	format, err := f.payloads(c, paths, func(p record.Payload) {
		if p.Type != record.OperatorAction || p.Action == nil || !f.wants(p.Station) {
			return
		}
		a := actionOf(p)
		if (f.person == "" || string(a.Person) == f.person) && (f.file == "" || a.Digest == digest) && (!f.signed || a.Meaning != "") {
			rows = append(rows, a)
		}
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(rows, func(a, b action) int {
		return cmp.Or(cmp.Compare(a.Station, b.Station), a.Time.Compare(b.Time))
	})
	return table(c.OutOrStdout(), format, "STATION\tWHEN\tWHO\tAPPLICATION\tACTION\tMEANING\tFACTORS\tCHECKED BY\tSHA-256", rows, func(a action) []string {
		return []string{
			string(a.Station), clock(a.Time), orDash(string(a.Person)), plain(a.Application), plain(a.Name), orDash(plain(a.Meaning)),
			orDash(strings.Join(a.Factors, "+")), orDash(a.By), a.Digest.String(),
		}
	})
}

// digest is that of the file that was asked for.
func (f *actionsFlags) digest() (sum record.Hash, err error) {
	if f.file == "" {
		return sum, nil
	}
	in, err := os.Open(f.file)
	if err != nil {
		return sum, hint(err, "name the document that was signed for with --file")
	}
	defer in.Close()
	h := sha256.New()
	if _, err := io.Copy(h, in); err != nil {
		return sum, hint(fmt.Errorf("read %s: %w", f.file, err), "name the document that was signed for with --file")
	}
	return record.Hash(h.Sum(nil)), nil
}
