package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"

	"tapline/proto/record"
	"tapline/proto/record/evidence"
)

// reading is what the commands have in common that tell what evidence says: of which stations, in which form, and whether they do so of bad evidence.
type reading struct {
	output     string
	json       bool
	station    string
	unverified bool
	keys       []string
}

func (f *reading) flags(c *cobra.Command) {
	c.Flags().StringVar(&f.station, "station", "", "only this station; with a slash at the end, all below")
	c.Flags().BoolVar(&f.unverified, "unverified", false, "show what bad evidence says too")
	c.Flags().StringArrayVar(&f.keys, "trust-key", nil, "believe this evidence key (base64) and no other; may be repeated")
	c.Flags().StringVarP(&f.output, "output", "o", formatTable, "table or json (one object a line)")
	c.Flags().BoolVar(&f.json, "json", false, "same as -o json")
}

// chains checks the evidence under the paths and gives its chains.
func (f *reading) chains(c *cobra.Command, paths []string) ([]evidence.Chain, error) {
	trust, err := trustOf(f.keys)
	if err != nil {
		return nil, err
	}
	chains, err := find(paths)
	if err != nil {
		return nil, err
	}
	findings, err := check(c.Context(), chains, evidence.Options{Trust: trust})
	if err != nil {
		return nil, err
	}
	if bad := firstFault(findings); bad != nil {
		fmt.Fprintf(c.ErrOrStderr(), "BAD: %v\n", bad)
		if !f.unverified {
			fmt.Fprintln(c.ErrOrStderr(), "hint: tapaudit verify says more; --unverified shows what it says all the same")
			return nil, errBad
		}
	}
	return chains, nil
}

// payloads gives what was signed under the paths, chain by chain, and the form of the answer.
func (f *reading) payloads(c *cobra.Command, paths []string, each func(record.Payload)) (format string, err error) {
	if format, err = formatOf(f.output, f.json); err != nil {
		return "", err
	}
	chains, err := f.chains(c, paths)
	if err != nil {
		return "", err
	}
	for _, chain := range chains {
		if err := payloadsOf(chain, f.unverified, each); err != nil {
			return "", err
		}
	}
	return format, nil
}

func (f *reading) wants(station record.StationID) bool {
	s := string(station)
	return f.station == "" || s == f.station || strings.HasSuffix(f.station, "/") && strings.HasPrefix(s, f.station)
}

// table prints one line for each row, or one object.
func table[T any](w io.Writer, format, head string, rows []T, line func(T) []string) error {
	if format == formatJSON {
		for _, r := range rows {
			if err := printJSON(w, r); err != nil {
				return err
			}
		}
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, head)
	for _, r := range rows {
		fmt.Fprintln(t, strings.Join(line(r), "\t"))
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("%w: %w", errWrite, err)
	}
	return nil
}

// plain is a text that somebody typed or a program gave, fit for a terminal and a table: quoted when it holds anything but letters, signs and blanks.
func plain(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}
