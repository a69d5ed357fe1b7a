package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"tapline/agent"
	"tapline/installer/osservice"
)

func (c *cli) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Look for everything that is wrong, and say what to do",
		Long: `Checks the configuration, the rights of the station's files, the key store, the
enrolment, the smart card service, the way to the broker and the clock, and
prints every fault at once. It changes nothing and may run beside the agent.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.load()
			if err != nil {
				return err
			}
			if err := becomeOwner(cfg.StateDir); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), 20*time.Second)
			defer cancel()
			var worst error
			bad := 0
			for _, f := range agent.Check(ctx, cfg) {
				mark := "ok   "
				if f.Err != nil {
					mark = "FAULT"
					bad++
					if worst == nil {
						worst = f.Err
					}
				}
				if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s  %-13s %s\n", mark, f.What, f.Says()); err != nil {
					return err
				}
				if hint := osservice.HintOf(f.Err); hint != "" {
					if _, err := fmt.Fprintf(cmd.OutOrStdout(), "       %-13s hint: %s\n", "", hint); err != nil {
						return err
					}
				}
			}
			if bad > 0 {
				return osservice.Fault(osservice.CodeOf(worst), fmt.Errorf("%d of the checks found a fault", bad), "")
			}
			return nil
		},
	}
}
