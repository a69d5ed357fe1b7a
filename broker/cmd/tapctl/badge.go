package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tapline/broker/badge"
	taplinev1 "tapline/proto/tapline/v1"
)

func badgeCommands(o *options) *cobra.Command {
	return noun("badge", "Badges: assign, enrol, requests, temporary, replace, lost, found, return, revoke, list",
		`A badge belongs to one person. Its number is stored sealed and shown nowhere.`,
		badgeAssign(o), badgeEnrol(o), badgeRequests(o), badgeDecide(o, true), badgeDecide(o, false), badgeTemporary(o), badgeReplace(o), badgeLost(o), badgeFound(o), badgeReturn(o), badgeRevoke(o), badgeList(o))
}

// badgeFlags are the ways to say which badge is meant.
type badgeFlags struct {
	uid, text, number, tap string
	label                  string
	lasts                  time.Duration
}

func badgeAssign(o *options) *cobra.Command {
	var f badgeFlags
	c := &cobra.Command{
		Use: "assign PERSON", Short: "Give a badge to a person", Args: cobra.ExactArgs(1),
		Long: `The easiest way: let the person tap at any station. The unknown badge is refused
with a six-character code on the panel; give that code with --tap.

Numbers that are known from elsewhere are given by --uid (the chip's UID in hex,
in the order a PC/SC reader sends it) or --number FORMAT:NUMBER, as printed on the
card: h10301:FACILITY:CARD is Wiegand with 26 bits; n10002, c1000-35, h10302 and
h10304 are known too. What a serial reader sends goes by the "format" that the
station's configuration gives it: --number hex:DIGITS (its default),
--number decimal:DIGITS, or --text LINE.`,
		Example: `  tapctl badge assign p-1001 --tap K7QX2M --label "blue lanyard"
  tapctl badge assign p-1001 --uid 04A1B2C3D4E580
  tapctl badge assign p-1001 --number h10301:123:45678
  tapctl badge assign p-1001 --number hex:04A1B2C3
  tapctl badge assign p-1001 --tap 9RT4WX --for 720h`,
		RunE: func(c *cobra.Command, args []string) error {
			req, err := f.request(args[0], time.Now())
			if err != nil {
				return err
			}
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.AssignBadge(ctx, req)
				if err != nil {
					return err
				}
				return show(c, o, r.GetBadge(), "badge %s belongs to %s", r.GetBadge().GetId(), r.GetBadge().GetPerson())
			})
		},
	}
	f.which(c)
	c.Flags().DurationVar(&f.lasts, "for", 0, "ends after this time")
	return c
}

// which adds the flags that say which badge is meant.
func (f *badgeFlags) which(c *cobra.Command) {
	fl := c.Flags()
	fl.StringVar(&f.uid, "uid", "", "UID of the chip, in hex")
	fl.StringVar(&f.text, "text", "", "line that a serial reader with the format text sends")
	fl.StringVar(&f.number, "number", "", "FORMAT:NUMBER, such as h10301:123:45678 as printed on the card")
	fl.StringVar(&f.tap, "tap", "", "code of a refused tap")
	fl.StringVar(&f.label, "label", "", "label")
	c.MarkFlagsMutuallyExclusive("uid", "text", "number", "tap")
	c.MarkFlagsOneRequired("uid", "text", "number", "tap")
}

func (f *badgeFlags) request(person string, now time.Time) (*taplinev1.AssignBadgeRequest, error) {
	req := &taplinev1.AssignBadgeRequest{Person: person, PendingTap: strings.ToUpper(f.tap), Label: f.label}
	if f.lasts < 0 {
		return nil, usage("--for %s: a badge cannot end before it begins", f.lasts)
	}
	if f.lasts > 0 {
		req.NotAfter = stamp(now.Add(f.lasts))
	}
	number := f.number
	switch {
	case f.uid != "":
		number = "uid:" + f.uid
	case f.text != "":
		number = "text:" + f.text
	}
	if number == "" {
		return req, nil
	}
	var err error
	if req.Badge, err = badge.Parse(number); err != nil {
		return nil, usage("%s: %v", f.flag(), err)
	}
	return req, nil
}

// flag names the flag that says which badge is meant.
func (f *badgeFlags) flag() string {
	switch {
	case f.uid != "":
		return "--uid"
	case f.text != "":
		return "--text"
	}
	return "--number"
}

func badgeList(o *options) *cobra.Command {
	var person string
	c := &cobra.Command{
		Use: "list", Short: "List badges, without their numbers", Args: cobra.ExactArgs(0),
		RunE: func(c *cobra.Command, _ []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				all, err := pages(func(token string) ([]*taplinev1.Badge, string, error) {
					r, err := b.admin.ListBadges(ctx, &taplinev1.ListBadgesRequest{PageSize: pageSize, PageToken: token, Person: person})
					return r.GetBadges(), r.GetNextPageToken(), err
				})
				if err != nil {
					return err
				}
				return list(c, o, all,
					column[*taplinev1.Badge]{"ID", (*taplinev1.Badge).GetId},
					column[*taplinev1.Badge]{"PERSON", (*taplinev1.Badge).GetPerson},
					column[*taplinev1.Badge]{"LABEL", (*taplinev1.Badge).GetLabel},
					column[*taplinev1.Badge]{"TECHNOLOGY", (*taplinev1.Badge).GetTechnology},
					column[*taplinev1.Badge]{"STATE", func(b *taplinev1.Badge) string {
						return badgeState(b, time.Now())
					}},
					column[*taplinev1.Badge]{"ENDS", func(b *taplinev1.Badge) string { return when(b.GetNotAfter()) }},
					column[*taplinev1.Badge]{"LAST USED", func(b *taplinev1.Badge) string { return when(b.GetLastUsedAt()) }})
			})
		},
	}
	c.Flags().StringVar(&person, "person", "", "of one person")
	return c
}

func badgeRevoke(o *options) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "revoke ID", Short: "Make a badge worthless; sessions that it opened end", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.RevokeBadge(ctx, &taplinev1.RevokeBadgeRequest{Id: args[0], Reason: reason})
				if err != nil {
					return err
				}
				return show(c, o, r.GetBadge(), "badge %s revoked", args[0])
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "lost", "lost, stolen, returned or replaced")
	return c
}
