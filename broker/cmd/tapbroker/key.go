package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"tapline/broker/store"
	"tapline/broker/vault"
	"tapline/installer/osservice"
)

func (c *cli) keyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "key", Short: "The master key: status, rotate, retire",
		Long: `The master key opens everything that is sealed in the store. It is a file in the
data folder, a credential of systemd, or an entry of the keyring ("master_key" in
the configuration).

Changing it goes in two steps, so that several brokers on one store can follow:
"rotate" puts a new key in force while the former one still opens the store;
when every broker has the new one, "retire" ends the former. Brokers that run
notice nothing, and both commands may be killed at any point and called again.`,
		Example: "  tapbroker key rotate\n  tapbroker key status\n  tapbroker key retire",
	}
	cmd.AddCommand(c.keyStatus(), c.keyRotate(), c.keyRetire())
	return cmd
}

// withVault opens the store and finds the master key's place.
func (c *cli) withVault(ctx context.Context, do func(context.Context, *store.Store, vault.Place) error) (err error) {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	p, err := vault.FindPlace(cfg.MasterKey, cfg.Data, cfg.Site)
	if err != nil {
		return osservice.Fault(osservice.Config, err, `see "master_key" in the configuration`)
	}
	s, err := openStore(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return osservice.Fault(osservice.Refused, do(ctx, s, p), "nothing was lost: every key that opened the store before still does")
}

func (c *cli) keyStatus() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Say where the master key lies and how far a change of it is", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withVault(cmd.Context(), func(ctx context.Context, s *store.Store, p vault.Place) error {
				state, err := vault.Look(ctx, s, p)
				if err != nil {
					return err
				}
				text := "opens the store, and it alone does"
				switch {
				case state.Begun:
					text = `opens the store; a change was begun: "tapbroker key rotate" goes on with it`
				case state.Old:
					text = `opens the store, and so does another one: give this one to every broker, then "tapbroker key retire"`
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "master key  %s\n            %s\n", p, text)
				return err
			})
		},
	}
}

func (c *cli) keyRotate() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "rotate", Short: "Put a new master key in force", Args: cobra.NoArgs,
		Long: `Makes a new master key and puts it in the place of the old one, which is kept
beside it and still opens the store until "tapbroker key retire".

With --new the key in that file (made if it is not there) may open the store as
well, and nothing else changes: for a key that systemd hands over. Encrypt the
file with "systemd-creds encrypt --name=master.key FILE CREDENTIAL", name the
result in the unit, start the broker anew, then retire and shred the file.`,
		Example: "  tapbroker key rotate\n  tapbroker key rotate --new ./master.key.new",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withVault(cmd.Context(), func(ctx context.Context, s *store.Store, p vault.Place) error {
				if file != "" {
					if err := vault.Allow(ctx, s, p, file, time.Now()); err != nil {
						return err
					}
					_, err := fmt.Fprintf(cmd.OutOrStdout(), "the key in %s opens the store too\n", file)
					return err
				}
				if err := vault.Rotate(ctx, s, p, time.Now()); err != nil {
					return err
				}
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "new master key  %s\nnext            give it to every broker on this store and to your backup, then: tapbroker key retire\n", p)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&file, "new", "", "file with the new key, for a key that systemd hands over")
	return cmd
}

func (c *cli) keyRetire() *cobra.Command {
	return &cobra.Command{
		Use: "retire", Short: "End what former master keys open", Args: cobra.NoArgs,
		Long: `Ends what every master key but the present one opens, and removes the former one.
A broker on this store that still has the former key does not start after it.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withVault(cmd.Context(), func(ctx context.Context, s *store.Store, p vault.Place) error {
				n, err := vault.Retire(ctx, s, p)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "retired %d; only the %s opens the store\n", n, p)
				return err
			})
		},
	}
}
