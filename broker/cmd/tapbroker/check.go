package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tapline/broker/login"
	"tapline/broker/openbao"
	"tapline/broker/sync"
	"tapline/installer/osservice"
)

func (c *cli) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use: "check", Short: "Name every fault of the configuration and the data folder at once", Args: cobra.NoArgs,
		Long: `Reads the configuration and looks at the data folder and the store, changes
nothing, and names everything that is wrong. Where a data folder is to be made it
makes an empty one and takes it away again. Of a PostgreSQL store it looks
whether it can be reached, is of version 15 or later, and keeps what it
acknowledges (fsync, full_page_writes, synchronous_commit). If the configuration
has the key ldap it asks each directory server, and shows how the first five
people would be taken; if it has the key oidc, it asks the issuer for its keys and
whether it has the device flow; if it has the key openbao, it asks the vault
whether it is sealed, logs in, and looks what it may do there. Exit code 3 if anything is wrong.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.load()
			if err != nil {
				return err
			}
			faults := append(cfg.Check(), checkData(cfg)...)
			out := cmd.OutOrStdout()
			if len(faults) == 0 {
				var notes []string
				if notes, faults = checkStore(cmd.Context(), cfg); len(notes) > 0 {
					fmt.Fprintf(out, "note   %s\n", strings.Join(notes, "\nnote   "))
				}
			}
			if cfg.LDAP != nil && len(cfg.LDAP.Check()) == 0 {
				asked := sync.Ask(cmd.Context(), *cfg.LDAP, time.Now())
				for _, l := range asked.Lines {
					fmt.Fprintf(out, "ldap     %s\n", l)
				}
				faults = append(faults, asked.Faults...)
			}
			if cfg.OIDC != nil && len(cfg.OIDC.Check()) == 0 {
				asked := login.Ask(cmd.Context(), *cfg.OIDC, time.Now)
				for _, l := range asked.Lines {
					fmt.Fprintf(out, "oidc     %s\n", l)
				}
				faults = append(faults, asked.Faults...)
			}
			if cfg.OpenBao != nil && len(cfg.OpenBao.Check()) == 0 {
				asked := openbao.Ask(cmd.Context(), *cfg.OpenBao, time.Now)
				for _, l := range asked.Lines {
					fmt.Fprintf(out, "openbao  %s\n", l)
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
