package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/installer/osservice"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

func (c *cli) emergencyCommand() *cobra.Command {
	e := &cobra.Command{
		Use: "emergency", Short: "Open the station without a badge, and answer for it",
		Long: `In an emergency anybody may open the station, at once and without a badge. It is
recorded and shown, it ends when a person taps, and two different people have to
answer for it within the time that emergency.claim_within sets.`,
		Example: "  tapagent emergency begin --reason injury\n  tapagent emergency list\n  tapagent emergency claim --note 'jam at the infeed, belt stopped by hand'",
	}
	e.AddCommand(c.emergencyBeginCommand(), c.emergencyEndCommand(), c.emergencyClaimCommand(), c.emergencyListCommand())
	return e
}

func (c *cli) emergencyBeginCommand() *cobra.Command {
	var reason string
	b := &cobra.Command{
		Use: "begin", Short: "Open the station now",
		Long: `Opens the station at once, whatever its broker and its disk are doing. The session
that was there ends. While an emergency is in force, doing it again changes nothing.`,
		Example: "  tapagent emergency begin\n  tapagent emergency begin --reason injury", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.ask(cmd.Context(), askWithin, func(ctx context.Context, local taplinev1.LocalServiceClient) error {
				e, err := local.BeginEmergency(ctx, &taplinev1.BeginEmergencyRequest{Reason: reason})
				if err != nil {
					return localFault(err)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "the station is open: emergency %s\ntap a badge when it is over; two people must claim it by %s\n",
					e.GetEmergency(), minute(e.GetClaimBy()))
				return err
			})
		},
	}
	b.Flags().StringVar(&reason, "reason", "other", "one word, such as alarm, injury, fire, jam")
	return b
}

func (c *cli) emergencyEndCommand() *cobra.Command {
	return &cobra.Command{
		Use: "end", Short: "End the emergency in force", Long: "Ends the emergency without a tap. A tap of a person ends it too, and says who is there.", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.ask(cmd.Context(), askWithin, func(ctx context.Context, local taplinev1.LocalServiceClient) error {
				who, err := local.WhoIsHere(ctx, &taplinev1.WhoIsHereRequest{})
				if err != nil {
					return localFault(err)
				}
				id := who.GetPresence().GetEmergency().GetId()
				if id == "" {
					_, err := fmt.Fprintln(cmd.OutOrStdout(), "no emergency is in force")
					return err
				}
				if _, err := local.EndSession(ctx, &taplinev1.EndSessionRequest{Session: id}); err != nil {
					return localFault(err)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "ended emergency %s\n", id)
				return err
			})
		},
	}
}

func (c *cli) emergencyClaimCommand() *cobra.Command {
	var note string
	claim := &cobra.Command{
		Use: "claim [EMERGENCY]", Short: "Have the next taps answer for an emergency",
		Long: `Whoever taps next at this station answers for the emergency, with the note; two
different people have to. Those taps begin no session: whoever works here stays.
Without a name it is the oldest that waits.`,
		Example: "  tapagent emergency claim --note 'jam at the infeed, belt stopped by hand'", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.ask(cmd.Context(), askWithin, func(ctx context.Context, local taplinev1.LocalServiceClient) error {
				req := &taplinev1.ClaimEmergencyRequest{Note: note}
				if len(args) > 0 {
					req.Emergency = args[0]
				} else if err := oldest(ctx, local, req); err != nil {
					return err
				}
				got, err := local.ClaimEmergency(ctx, req)
				if err != nil {
					return emergencyFault(err)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "tap your badge at this station to answer for emergency %s; people who still must: %d\n", req.GetEmergency(), got.GetMissing())
				return err
			})
		},
	}
	claim.Flags().StringVar(&note, "note", "", "what happened, at most 500 characters; it is recorded")
	return claim
}

// oldest finds the emergency that has waited longest.
func oldest(ctx context.Context, local taplinev1.LocalServiceClient, req *taplinev1.ClaimEmergencyRequest) error {
	who, err := local.WhoIsHere(ctx, &taplinev1.WhoIsHereRequest{})
	if err != nil {
		return localFault(err)
	}
	list := who.GetPresence().GetUnclaimed()
	if len(list) == 0 {
		return osservice.Fault(osservice.Refused, wire.E(wire.NotFound, "no emergency waits for a claim at this station"), "\"tapctl emergency list\" at the broker shows those of all stations")
	}
	req.Emergency = list[0].GetId()
	return nil
}

// emergencyFault says what an error of a claim means.
func emergencyFault(err error) error {
	switch wire.KindOf(err) {
	case wire.NotFound:
		return osservice.Fault(osservice.Refused, err, "\"tapagent emergency list\" shows those that wait")
	case wire.Invalid:
		return osservice.Fault(osservice.Usage, err, "")
	}
	return localFault(err)
}

// emergencyRow is one line of the list.
type emergencyRow struct {
	ID      string     `json:"id"`
	Reason  string     `json:"reason"`
	Since   time.Time  `json:"since"`
	InForce bool       `json:"in_force"`
	EndsAt  *time.Time `json:"ends_at,omitempty"`
	ClaimBy time.Time  `json:"claim_by"`
	Missing uint32     `json:"missing"`
	Overdue bool       `json:"overdue"`
}

func (c *cli) emergencyListCommand() *cobra.Command {
	var output string
	l := &cobra.Command{
		Use: "list", Short: "Show the emergency in force and those that wait for claims", Args: cobra.NoArgs,
		Long: "Shows the emergencies of this station that are in force or that not enough people have answered for.", Example: "  tapagent emergency list\n  tapagent emergency list -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "table" && output != "json" {
				return osservice.Fault(osservice.Usage, fmt.Errorf("output %q", output), "use -o table or -o json")
			}
			return c.ask(cmd.Context(), askWithin, func(ctx context.Context, local taplinev1.LocalServiceClient) error {
				who, err := local.WhoIsHere(ctx, &taplinev1.WhoIsHereRequest{})
				if err != nil {
					return localFault(err)
				}
				rows := emergencyRows(who.GetPresence())
				if output == "json" {
					return json.NewEncoder(cmd.OutOrStdout()).Encode(rows)
				}
				return printEmergencies(cmd.OutOrStdout(), rows)
			})
		},
	}
	l.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return l
}

func emergencyRows(p *taplinev1.Presence) []emergencyRow {
	list := p.GetUnclaimed()
	if now := p.GetEmergency(); now != nil && now.GetMissing() == 0 {
		list = append(list, now)
	}
	rows := []emergencyRow{}
	for _, e := range list {
		r := emergencyRow{
			ID: e.GetId(), Reason: e.GetReason(), Since: e.GetSince().AsTime(), InForce: e.GetId() == p.GetEmergency().GetId(),
			ClaimBy: e.GetClaimBy().AsTime(), Missing: e.GetMissing(), Overdue: e.GetOverdue(),
		}
		if e.GetEndsAt() != nil {
			ends := e.GetEndsAt().AsTime()
			r.EndsAt = &ends
		}
		rows = append(rows, r)
	}
	return rows
}

func printEmergencies(out io.Writer, rows []emergencyRow) error {
	if len(rows) == 0 {
		_, err := fmt.Fprintln(out, "no emergency is in force, and none waits for a claim")
		return err
	}
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "EMERGENCY\tREASON\tSINCE\tSTATE\tCLAIMS MISSING\tCLAIM BY")
	for _, r := range rows {
		state, by := "over", r.ClaimBy.Local().Format("2006-01-02 15:04")
		if r.InForce {
			state = "IN FORCE"
		}
		if r.Overdue {
			by += " OVERDUE"
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\n", r.ID, r.Reason, r.Since.Local().Format("2006-01-02 15:04"), state, r.Missing, by)
	}
	return t.Flush()
}

func minute(t *timestamppb.Timestamp) string { return t.AsTime().Local().Format("2006-01-02 15:04") }
