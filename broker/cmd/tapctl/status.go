package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	taplinev1 "tapline/proto/tapline/v1"
)

func statusCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Say how the broker is", Args: cobra.ExactArgs(0),
		RunE: func(c *cobra.Command, _ []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				h, err := b.admin.GetHealth(ctx, &taplinev1.GetHealthRequest{})
				if err != nil {
					return err
				}
				return show(c, o, h, "broker    %s, since %s\nstore     %s\nrecords   %d\nstations  %d connected\nalarms    %d open\nlook at   %s",
					h.GetBuild(), when(h.GetStartedAt()), h.GetStore(), h.GetRecords(), h.GetStationsConnected(), h.GetOpenAlarms(),
					fallback(strings.Join(h.GetConditions(), ", "), "nothing"))
			})
		},
	}
}
