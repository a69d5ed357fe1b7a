package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"tapline/installer/osservice"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

func (c *cli) badgeCommand() *cobra.Command {
	b := &cobra.Command{Use: "badge", Short: "Ask for a badge that nobody has", Long: "A badge that the broker does not know can be asked for at the station where it was tapped."}
	b.AddCommand(c.badgeRequestCommand())
	return b
}

func (c *cli) badgeRequestCommand() *cobra.Command {
	var person string
	r := &cobra.Command{
		Use:   "request CODE",
		Short: "Ask that an unknown badge, which was refused here, be yours",
		Long: `Tap the unknown badge: it is refused with a six-character CODE. Then show who you
are: tap a badge that is yours, which opens a session, and give the code within
five minutes; or give your ID with --person and your PIN on standard input.

The badge works once a supervisor has approved (tapctl badge requests). A request
ends after a day.`,
		Example: "  tapagent badge request K7QX2M\n  tapagent badge request K7QX2M --person p-1001 < pin.txt",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			req := &taplinev1.ClaimBadgeRequest{Code: strings.ToUpper(args[0]), Person: person}
			if person != "" {
				line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
				if req.Pin = strings.TrimSpace(line); req.GetPin() == "" {
					return osservice.Fault(osservice.Usage, fmt.Errorf("no PIN on standard input: %w", err), "give the PIN as one line, for instance from a file")
				}
			}
			return c.ask(cmd.Context(), askWithin, func(ctx context.Context, local taplinev1.LocalServiceClient) error {
				got, err := local.ClaimBadge(ctx, req)
				if err != nil {
					return claimFault(err)
				}
				if got.GetApproved() {
					_, err = fmt.Fprintf(cmd.OutOrStdout(), "the badge belongs to %s\n", got.GetPerson())
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "asked for %s; somebody has to approve until %s\n", got.GetPerson(), got.GetExpiresAt().AsTime().Local().Format("2006-01-02 15:04"))
				return err
			})
		},
	}
	r.Flags().StringVar(&person, "person", "", "your ID; your PIN is read from standard input")
	return r
}

// claimFault says what an error of a request means.
func claimFault(err error) error {
	switch wire.KindOf(err) {
	case wire.NotFound:
		return osservice.Fault(osservice.Refused, err, "the code is the one that the panel showed when the badge was tapped here")
	case wire.Denied:
		return osservice.Fault(osservice.Refused, err, "show who you are: tap a badge that is yours, or give your ID and PIN")
	case wire.Precondition, wire.Busy, wire.Invalid:
		return osservice.Fault(osservice.Refused, err, "")
	case wire.Unavailable:
		return osservice.Fault(osservice.Unavailable, err, "the broker, or the agent, does not answer now: \"tapagent status\" says which; try again later")
	}
	return localFault(err)
}
