package main

import (
	"bufio"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"tapline/proto/record"
	"tapline/proto/record/evidence"
)

func newCat() *cobra.Command {
	var payload bool
	c := &cobra.Command{
		Use:   "cat PATH...",
		Short: "Print records, one JSON object a line",
		Long: `Cat prints the records under the paths as they are stored, without checking them: use verify for that.
With --payload it prints what was signed instead of the envelope around it.`,
		Example: `  tapaudit cat --payload ./evidence | jq -r 'select(.type == "tap.refused") | [.time.wall, .reason] | @tsv'`,
		Args:    onePath,
		RunE: func(c *cobra.Command, args []string) error {
			chains, err := find(args)
			if err != nil {
				return err
			}
			w := bufio.NewWriter(c.OutOrStdout())
			for _, chain := range chains {
				if err := catChain(w, chain, payload); err != nil {
					return err
				}
			}
			if err := w.Flush(); err != nil {
				return fmt.Errorf("%w: %w", errWrite, err)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&payload, "payload", false, "print the signed payload, not the envelope")
	return c
}

func catChain(w *bufio.Writer, chain evidence.Chain, payload bool) error {
	for raw, err := range chain.Records() {
		if err == nil && payload {
			var e record.Envelope
			e, err = record.ParseEnvelope(raw)
			raw = e.PayloadBytes()
		}
		if err != nil {
			return hint(fmt.Errorf("%s: %w", chain.Dir, err), "tapaudit verify names the record that is bad")
		}
		if err := errors.Join(second(w.Write(raw)), w.WriteByte('\n')); err != nil {
			return fmt.Errorf("%w: %w", errWrite, err)
		}
	}
	return nil
}

func second(_ int, err error) error { return err }
