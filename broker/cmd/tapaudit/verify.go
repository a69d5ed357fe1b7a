package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"tapline/proto/record/evidence"
)

type verifyFlags struct {
	json   bool
	output string
	keys   []string
	log    logFlags
}

func newVerify() *cobra.Command {
	var f verifyFlags
	c := &cobra.Command{
		Use:   "verify PATH...",
		Short: "Check that evidence is whole and genuine",
		Long: `Verify reads every chain of records under the paths and checks each record: its signature, its place in the
chain, the key of its epoch, and that the chain reaches as far as the broker's receipt says. For the first
bad record of each chain it names station, number and reason; proto/record/SPEC.md explains each reason.

An export of a broker that keeps a log also says where each record stands in it. Verify then checks that the
log's signed checkpoint holds each record, as it is; with --since that the log continues the one that you were
shown before, so that nobody has been given another history meanwhile; with --witness that others saw it too.

Evidence brings the broker's keys with it, in trust.json. Whoever forged all of the evidence forged that
too. So get the broker's evidence key by another way and give it with --trust-key.

Exit status: 0 all good, 1 bad evidence, 2 the question could not be answered.`,
		Example: `  tapaudit verify ./evidence --trust-key "$KEY"
  tapaudit verify ./november --trust-key "$KEY" --since ./october
  tapaudit verify --json ./evidence | jq .first_bad
  tapaudit verify /var/lib/tapline-agent/journal`,
		Args: onePath,
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, args) },
	}
	c.Flags().StringArrayVar(&f.keys, "trust-key", nil, "believe this evidence key (base64) and no other; may be repeated")
	c.Flags().StringVarP(&f.output, "output", "o", "table", "table or json")
	c.Flags().BoolVar(&f.json, "json", false, "same as -o json")
	c.Flags().StringVar(&f.log.since, "since", "", "the log must continue this earlier checkpoint: a file, or a folder of evidence")
	f.log.add(c)
	return c
}

func (f *verifyFlags) run(c *cobra.Command, paths []string) error {
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
	bar := newProgress(c.ErrOrStderr(), chains)
	findings, err := check(c.Context(), chains, evidence.Options{Trust: trust, Progress: bar.add})
	bar.done()
	if err != nil {
		return err
	}
	logs, err := f.log.check(c.Context(), chains, trust)
	if err != nil {
		return err
	}
	r := newReport(findings, logs, trust != nil)
	if format == formatJSON {
		err = printJSON(c.OutOrStdout(), r)
	} else {
		err = r.print(c.OutOrStdout())
	}
	if err != nil {
		return err
	}
	if !r.Trust.Pinned {
		fmt.Fprint(c.ErrOrStderr(), selfTrust)
	}
	if !r.OK {
		return errBad
	}
	return nil
}

const selfTrust = `WARNING: the keys that this was checked with come from the evidence itself. It shows that nobody changed the
evidence after those keys signed it, not whose keys they are.
hint: pin the broker's evidence key with --trust-key KEY
`

// The output formats.
const (
	formatTable = "table"
	formatJSON  = "json"
)

func formatOf(output string, json bool) (string, error) {
	switch {
	case json:
		return formatJSON, nil
	case output == formatTable || output == formatJSON:
		return output, nil
	}
	return "", hint(fmt.Errorf("unknown output format %q", output), "use -o table or -o json")
}

// errWrite is output that went nowhere.
var errWrite = errors.New("write output")
