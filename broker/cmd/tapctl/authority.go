package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	taplinev1 "tapline/proto/tapline/v1"
)

func authorityCommands(o *options) *cobra.Command {
	return noun("ca", "The certificate authority: status, rotate", `The broker is its own certificate authority: a root that lives ten years, and an
issuing CA under it that is replaced by itself at half its year. Stations and the
broker get certificates for days, and renew them by themselves.`,
		authorityStatus(o), authorityRotate(o))
}

func authorityStatus(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Say how the certificate authority is, and what comes next", Args: cobra.ExactArgs(0),
		RunE: func(c *cobra.Command, _ []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.GetAuthority(ctx, &taplinev1.GetAuthorityRequest{})
				if err != nil {
					return err
				}
				return showAuthority(c, o, r)
			})
		},
	}
}

func showAuthority(c *cobra.Command, o *options, r *taplinev1.GetAuthorityResponse) error {
	if o.output == "json" {
		return printJSON(c.OutOrStdout(), r)
	}
	return printAuthority(c.OutOrStdout(), r, time.Now())
}

func printAuthority(w io.Writer, r *taplinev1.GetAuthorityResponse, now time.Time) error {
	var out strings.Builder
	for _, root := range r.GetRoots() {
		fmt.Fprintf(&out, "root     %s, since %s, good until %s\n         pin %s\n", rootState(root.GetState()), when(root.GetSince()),
			when(root.GetNotAfter()), root.GetPin())
	}
	fmt.Fprintf(&out, "issuing  serial %s, good until %s\n", r.GetIssuingSerial(), when(r.GetIssuingNotAfter()))
	switch n := len(r.GetUnaware()); {
	case n == 0:
		fmt.Fprintln(&out, "trust    every enrolled station knows all roots")
	default:
		fmt.Fprintf(&out, "trust    %d enrolled stations have not said that they know all roots:\n", n)
		for _, id := range r.GetUnaware() {
			fmt.Fprintf(&out, "         %s\n", clean(id))
		}
	}
	fmt.Fprintf(&out, "next     %s\n", nextOfAuthority(r, now))
	_, err := io.WriteString(w, out.String())
	return err
}

func rootState(s taplinev1.RootState) string {
	switch s {
	case taplinev1.RootState_ROOT_STATE_PUBLISHED:
		return "published, does not sign yet"
	case taplinev1.RootState_ROOT_STATE_ISSUING:
		return "signs"
	case taplinev1.RootState_ROOT_STATE_RETIRING:
		return "trusted, signs no more"
	}
	return "unknown"
}

// nextOfAuthority is the next step of a rotation, in words.
func nextOfAuthority(r *taplinev1.GetAuthorityResponse, now time.Time) string {
	for _, root := range r.GetRoots() {
		step := map[taplinev1.RootState]string{
			taplinev1.RootState_ROOT_STATE_PUBLISHED: "issue", taplinev1.RootState_ROOT_STATE_RETIRING: "retire",
		}[root.GetState()]
		switch from := root.GetNextFrom(); {
		case step == "":
		case now.Before(from.AsTime()):
			return fmt.Sprintf("tapctl ca rotate %s, from %s on", step, when(from))
		case step == "retire" && len(r.GetUnaware()) > 0:
			return "bring the stations above on the line, then tapctl ca rotate retire"
		default:
			return "tapctl ca rotate " + step
		}
	}
	return "nothing"
}

func authorityRotate(o *options) *cobra.Command {
	req := &taplinev1.RotateAuthorityRequest{}
	c := &cobra.Command{
		Use: "rotate issuing|init|issue|retire", Short: "Replace the issuing CA, or take a change of the root one step further",
		Args: cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs), ValidArgs: []string{"issuing", "init", "issue", "retire"},
		Long: `Replaces the issuing CA at once ("issuing"): say, because the broker's machine was
in the wrong hands. Stations notice nothing.

Changing the root takes three steps, with time between them so that stations that
are away are not cut off:

  init     makes a new root. Stations are told to trust it beside the old one: at
           once when they are on the line, with their next certificate, or when
           they enrol. Nothing is signed with it yet.
  issue    180 days later: certificates come from the new root. Whoever knows only
           the old one still believes the broker, since the issuing CA is signed
           by both; new tokens carry the new root's pin.
  retire   91 days later, and when every enrolled station has said that it knows
           the new root: the old one is trusted no more.

"tapctl ca status" says where it stands, which stations do not know the new root
yet, and what comes next. After "init" copy the identity folders of administrators
anew before "retire": they hold the roots too.

--force takes a step before its time. Stations that have not heard of the new root
then need a new token: somebody has to go there.`,
		Example: "  tapctl ca rotate init\n  tapctl ca status",
		RunE: func(c *cobra.Command, args []string) error {
			req.Step = args[0]
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.RotateAuthority(ctx, req)
				if err != nil {
					return err
				}
				return showAuthority(c, o, r.GetAuthority())
			})
		},
	}
	c.Flags().BoolVar(&req.Force, "force", false, "before its time, and although stations do not know the new root")
	return c
}
