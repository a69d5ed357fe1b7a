package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

func (c *cli) migrateCommand() *cobra.Command {
	var look, status bool
	cmd := &cobra.Command{
		Use: "migrate", Short: "Bring the store to the schema of this version", Args: cobra.NoArgs,
		Long: `Brings the store to the schema of this version. "serve" does the same when it
starts; run this before, to see it done while nobody waits. With SQLite the
broker must be stopped. Brokers on one PostgreSQL may go on: the schema only
grows, and of several that migrate at once one does it while the others wait.
--status only says how far the schema is.`,
		Example: "  tapbroker migrate --status\n  tapbroker migrate",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			cfg, err := c.load()
			if err != nil {
				return err
			}
			s, err := openStore(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			before, err := s.Schema(cmd.Context())
			if err != nil {
				return err
			}
			if before.Current() || look || status {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "schema %d, this version wants %d\n", before.Have, before.Want)
				return err
			}
			unlock, err := lockData(cfg)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, unlock()) }()
			if err := s.Migrate(cmd.Context()); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "schema %d, was %d\n", before.Want, before.Have)
			return err
		},
	}
	cmd.Flags().BoolVar(&status, "status", false, "only say how far the schema is")
	cmd.Flags().BoolVar(&look, "dry-run", false, "the same as --status")
	return cmd
}
