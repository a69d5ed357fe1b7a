package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tapline/installer/osservice"
	taplinev1 "tapline/proto/tapline/v1"
)

// askEvery is how often the broker is asked for the tap that is waited for.
const askEvery = 500 * time.Millisecond

func badgeEnrol(o *options) *cobra.Command {
	var station, label string
	var wait, lasts time.Duration
	var yes bool
	c := &cobra.Command{
		Use: "enrol PERSON", Short: "Give a person the badge that is tapped next at a station", Args: cobra.ExactArgs(1),
		Long: `Waits for the next tap of a badge that nobody has at a station, shows how the badge
was read and how hard it is to copy, and gives it to the person once you agree.
Stand beside them: whoever taps first is taken.`,
		Example: "  tapctl badge enrol p-1001 --station plant/press/line-4/hmi-1 --label \"blue lanyard\"",
		RunE: func(c *cobra.Command, args []string) error {
			if wait <= 0 || lasts < 0 {
				return usage("--wait and --for are times above 0")
			}
			return o.stream(c.Context(), func(ctx context.Context, b client) error {
				if _, err := b.admin.GetPerson(ctx, &taplinev1.GetPersonRequest{Id: args[0]}); err != nil {
					return err
				}
				fmt.Fprintf(c.ErrOrStderr(), "waiting %s for a new badge at %s: let %s tap now\n", wait, station, args[0])
				tap, err := nextTap(ctx, b, station, wait)
				if err != nil {
					return err
				}
				fmt.Fprintf(c.ErrOrStderr(), "%s: %s, %s (code %s)\n", when(tap.GetAt()), fallback(clean(tap.GetTechnology()), "unknown"), assuranceText(tap.GetAssurance()), tap.GetCode())
				if !yes && !agree(o, c, fmt.Sprintf("give this badge to %s?", args[0])) {
					return osservice.Fault(osservice.Refused, fmt.Errorf("not given"), "nothing was changed; tap again to try once more")
				}
				req := &taplinev1.AssignBadgeRequest{Person: args[0], PendingTap: tap.GetCode(), Label: label}
				if lasts > 0 {
					req.NotAfter = stamp(time.Now().Add(lasts))
				}
				r, err := b.admin.AssignBadge(ctx, req)
				if err != nil {
					return err
				}
				return show(c, o, r.GetBadge(), "badge %s belongs to %s", r.GetBadge().GetId(), r.GetBadge().GetPerson())
			})
		},
	}
	f := c.Flags()
	f.StringVar(&station, "station", "", "station where the badge is tapped")
	f.StringVar(&label, "label", "", "label")
	f.DurationVar(&wait, "wait", time.Minute, "how long to wait for the tap")
	f.DurationVar(&lasts, "for", 0, "ends after this time")
	f.BoolVar(&yes, "yes", false, "do not ask")
	must(c.MarkFlagRequired("station"))
	return c
}

// nextTap waits for a badge that nobody has, by the broker's clock.
func nextTap(ctx context.Context, b client, station string, wait time.Duration) (*taplinev1.RefusedTap, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	first, err := b.admin.ListRefusedTaps(ctx, &taplinev1.ListRefusedTapsRequest{Station: station, UnknownOnly: true, Limit: 1})
	if err != nil {
		return nil, err
	}
	after := first.GetBrokerTime()
	again := time.NewTicker(askEvery)
	defer again.Stop()
	for {
		r, err := b.admin.ListRefusedTaps(ctx, &taplinev1.ListRefusedTapsRequest{Station: station, UnknownOnly: true, After: after, Limit: 100})
		if taps := r.GetTaps(); err == nil && len(taps) > 0 {
			return taps[len(taps)-1], nil // the oldest of the new ones
		}
		if err != nil && ctx.Err() == nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, osservice.Fault(osservice.Refused, fmt.Errorf("no new badge was tapped at %s within %s", station, wait),
				"is the station on the line (tapctl station list), and is the badge really one that nobody has?")
		case <-again.C:
		}
	}
}

// assuranceText says how hard a badge is to copy.
func assuranceText(a taplinev1.Assurance) string {
	if w := word(a, "ASSURANCE_"); w != "" {
		return "assurance " + w
	}
	return "a bare number that anybody can copy"
}

// agree asks a question on the terminal.
func agree(o *options, c *cobra.Command, question string) bool {
	fmt.Fprintf(c.ErrOrStderr(), "%s [y/N] ", question)
	line, err := bufio.NewReader(o.in).ReadString('\n')
	if err != nil && line == "" {
		return false
	}
	line = strings.ToLower(strings.TrimSpace(line))
	return line == "y" || line == "yes"
}

func badgeRequests(o *options) *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use: "requests", Short: "List what people asked for at stations: badges that nobody has", Args: cobra.ExactArgs(0),
		RunE: func(c *cobra.Command, _ []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				found, err := pages(func(token string) ([]*taplinev1.BadgeRequest, string, error) {
					r, err := b.admin.ListBadgeRequests(ctx, &taplinev1.ListBadgeRequestsRequest{PageSize: pageSize, PageToken: token, OpenOnly: !all})
					return r.GetRequests(), r.GetNextPageToken(), err
				})
				if err != nil {
					return err
				}
				return list(c, o, found,
					column[*taplinev1.BadgeRequest]{"ID", (*taplinev1.BadgeRequest).GetId},
					column[*taplinev1.BadgeRequest]{"PERSON", (*taplinev1.BadgeRequest).GetPerson},
					column[*taplinev1.BadgeRequest]{"SHOWN BY", (*taplinev1.BadgeRequest).GetShownBy},
					column[*taplinev1.BadgeRequest]{"STATION", (*taplinev1.BadgeRequest).GetStation},
					column[*taplinev1.BadgeRequest]{"BADGE", func(r *taplinev1.BadgeRequest) string {
						return strings.TrimSpace(r.GetTechnology() + " " + word(r.GetAssurance(), "ASSURANCE_"))
					}},
					column[*taplinev1.BadgeRequest]{"MADE", func(r *taplinev1.BadgeRequest) string { return when(r.GetMadeAt()) }},
					column[*taplinev1.BadgeRequest]{"ENDS", func(r *taplinev1.BadgeRequest) string { return when(r.GetExpiresAt()) }},
					column[*taplinev1.BadgeRequest]{"STATE", func(r *taplinev1.BadgeRequest) string {
						return strings.TrimSpace(r.GetState() + " " + map[bool]string{true: "by " + r.GetDecidedBy()}[r.GetDecidedBy() != ""])
					}})
			})
		},
	}
	c.Flags().BoolVar(&all, "all", false, "also those that are decided or have expired")
	return c
}

func badgeDecide(o *options, approve bool) *cobra.Command {
	req := &taplinev1.DecideBadgeRequestRequest{Approve: approve}
	c := &cobra.Command{Use: "refuse REQUEST", Short: "Refuse a badge that somebody asked for at a station", Args: cobra.ExactArgs(1)}
	if approve {
		c.Use, c.Short = "approve REQUEST", "Give a badge that somebody asked for at a station"
		c.Example = "  tapctl badge requests\n  tapctl badge approve 0193b2c4-7d1e-7a00-8000-0123456789ab --label \"blue lanyard\""
		c.Flags().StringVar(&req.Label, "label", "", "label of the badge")
	}
	c.Flags().StringVar(&req.Note, "note", "", "why")
	c.RunE = func(c *cobra.Command, args []string) error {
		req.Id = args[0]
		return o.talk(c.Context(), func(ctx context.Context, b client) error {
			r, err := b.admin.DecideBadgeRequest(ctx, req)
			if err != nil {
				return err
			}
			return show(c, o, r.GetRequest(), "request of %s: %s", r.GetRequest().GetPerson(), r.GetRequest().GetState())
		})
	}
	return c
}
