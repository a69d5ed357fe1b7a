package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"tapline/broker"
	"tapline/broker/store"
	"tapline/broker/sync"
	"tapline/broker/vault"
	"tapline/installer/osservice"
)

func (c *cli) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use: "check", Short: "Name every fault of the configuration and the data folder at once", Args: cobra.NoArgs,
		Long: `Reads the configuration and looks at the data folder and the store, changes
nothing, and names everything that is wrong. If the configuration has the key
ldap it asks each directory server, and shows how the first five people would be
taken. Exit code 3 if anything is wrong.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.load()
			if err != nil {
				return err
			}
			faults := append(cfg.Check(), checkData(cmd, cfg)...)
			out := cmd.OutOrStdout()
			if cfg.LDAP != nil && len(cfg.LDAP.Check()) == 0 {
				asked := sync.Ask(cmd.Context(), *cfg.LDAP, time.Now())
				for _, l := range asked.Lines {
					fmt.Fprintf(out, "ldap     %s\n", l)
				}
				faults = append(faults, asked.Faults...)
			}
			for _, f := range faults {
				fmt.Fprintf(out, "fault  %v\n", f)
			}
			if len(faults) > 0 {
				return osservice.Fault(osservice.Config, fmt.Errorf("faults: %d", len(faults)), "correct them and check again")
			}
			fmt.Fprintf(out, "listen   %s\ndata     %s\nsite     %s\nbrokers  %v\nall good\n", cfg.Listen, cfg.Data, cfg.Site, cfg.Brokers)
			return nil
		},
	}
}

// checkData looks at the data folder; one that is not there yet is made at the first start.
func checkData(cmd *cobra.Command, cfg broker.Config) []error {
	info, err := os.Stat(cfg.Data)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return []error{fmt.Errorf("data %s: %w", cfg.Data, err)}
	case !info.IsDir():
		return []error{fmt.Errorf("data %s is not a folder", cfg.Data)}
	case info.Mode().Perm()&0o022 != 0:
		return []error{fmt.Errorf("data %s can be written by others (%s): chmod 700 it", cfg.Data, info.Mode().Perm())}
	}
	if _, err := os.Stat(storePath(cfg)); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	s, err := store.OpenSQLite(cfg.Data)
	if err != nil {
		return []error{err}
	}
	schema, err := s.Schema(cmd.Context())
	if err == nil && schema.Current() {
		err = checkVault(cmd.Context(), s, cfg)
	}
	if err = errors.Join(err, s.Close()); err != nil {
		return []error{err}
	}
	return nil
}

// checkVault looks whether the master key opens the store, and whether a change of it was left half done.
func checkVault(ctx context.Context, s *store.Store, cfg broker.Config) error {
	p, err := vault.FindPlace(cfg.MasterKey, cfg.Data, cfg.Site)
	if err != nil {
		return err
	}
	state, err := vault.Look(ctx, s, p)
	switch {
	case err != nil:
		return fmt.Errorf("vault: %w", err)
	case state.Begun:
		return errors.New("master key: a change was begun and not finished: \"tapbroker key rotate\" goes on with it")
	case state.Old:
		return errors.New("master key: the former one still opens the store: give the new one to every broker, then \"tapbroker key retire\"")
	}
	return nil
}
