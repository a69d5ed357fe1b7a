package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"tapline/installer/osservice"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

func (c *cli) reloadCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "Have the running agent read its configuration again",
		Long: `Asks the running agent to read its configuration again, as SIGHUP and "systemctl
reload" do. It takes all of it or nothing: a file with a fault anywhere changes
nothing, and the command says which key is wrong. Nobody's session ends by it.

These keys change while the station runs, all others with a restart:
mode, brokers, panel, web.listen, web.hosts, decide_within, heartbeat,
account_hook, log.level, unattributed.input_quiet, unattributed.longest, and
all of session, emergency, sign, gate, readers and journal.`,
		Example: "  sudo tapagent check && sudo tapagent reload",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := c.askReload(cmd.Context())
			if err != nil {
				return err
			}
			says := "nothing has changed"
			if len(r.GetApplied()) > 0 {
				says = "in force: " + strings.Join(r.GetApplied(), ", ")
			}
			if len(r.GetPending()) > 0 {
				says += "\nwith the next restart: " + strings.Join(r.GetPending(), ", ")
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), says)
			return err
		},
	}
}

// askReload asks the running agent, over its local API, to read the configuration again.
func (c *cli) askReload(ctx context.Context) (*taplinev1.ReloadResponse, error) {
	var r *taplinev1.ReloadResponse
	err := c.ask(ctx, 2*askWithin, func(ctx context.Context, local taplinev1.LocalServiceClient) (err error) {
		r, err = local.Reload(ctx, &taplinev1.ReloadRequest{})
		if wire.KindOf(err) == wire.Precondition {
			return osservice.Fault(osservice.Config, said(err), "correct the key and reload again; \"tapagent check\" shows every fault at once")
		}
		return localFault(err)
	})
	return r, err
}
