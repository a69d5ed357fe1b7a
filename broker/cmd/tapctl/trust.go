package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
)

func trustCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "trust", Short: "Print the broker's evidence key, for an auditor to pin", Args: cobra.ExactArgs(0),
		Long: `Prints the public key with which the broker signs receipts and statements, one a
line, newest last. Give it to auditors by another way than the evidence: with it
they check evidence that anybody may have handed them.`,
		Example: `  tapaudit verify --trust-key "$(tapctl trust)" evidence/`,
		RunE: func(c *cobra.Command, _ []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.audit.GetTrust(ctx, &taplinev1.GetTrustRequest{})
				if err != nil {
					return err
				}
				t, err := record.ParseTrust(r.GetTrust())
				if err != nil {
					return fmt.Errorf("answer: %w", err)
				}
				if o.output == "json" {
					_, err = fmt.Fprintf(c.OutOrStdout(), "%s\n", r.GetTrust())
					return err
				}
				for _, k := range t.Keys {
					if _, err := fmt.Fprintln(c.OutOrStdout(), k.Key); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}
