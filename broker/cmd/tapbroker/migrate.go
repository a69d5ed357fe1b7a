package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"tapline/broker"
	"tapline/broker/store"
	"tapline/installer/osservice"
)

func storePath(cfg broker.Config) string { return filepath.Join(cfg.Data, store.FileName) }

func (c *cli) migrateCommand() *cobra.Command {
	var look bool
	cmd := &cobra.Command{
		Use: "migrate", Short: "Bring the store to the schema of this version", Args: cobra.NoArgs,
		Long: `Brings the store to the schema of this version. "serve" does the same when it
starts; run this before, to see it done while nobody waits. The broker must be
stopped. --dry-run only says what would be done.`,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			cfg, err := c.load()
			if err != nil {
				return err
			}
			if _, err := os.Stat(storePath(cfg)); err != nil {
				return osservice.Fault(osservice.Config, fmt.Errorf("no store: %w", err), "the first start of the broker makes one")
			}
			s, err := store.OpenSQLite(cfg.Data)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			before, err := s.Schema(cmd.Context())
			if err != nil {
				return err
			}
			if before.Current() || look {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "schema %d, this version wants %d\n", before.Have, before.Want)
				return err
			}
			if err := s.Migrate(cmd.Context()); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "schema %d, was %d\n", before.Want, before.Have)
			return err
		},
	}
	cmd.Flags().BoolVar(&look, "dry-run", false, "change nothing")
	return cmd
}
