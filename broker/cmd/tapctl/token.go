package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	taplinev1 "tapline/proto/tapline/v1"
)

func tokenCommands(o *options) *cobra.Command {
	return noun("token", "Enrolment tokens: create, list, revoke", `A token lets one station enrol once. It carries the broker's address and the
pin of its root, so the station needs nothing else.`,
		tokenCreate(o), tokenList(o), tokenRevoke(o))
}

func tokenCreate(o *options) *cobra.Command {
	var (
		lasts time.Duration
		fresh bool
	)
	c := &cobra.Command{
		Use: "create STATION", Short: "Make a one-use token for a station; it is shown once", Args: cobra.ExactArgs(1),
		Long: `Makes a one-use token for a station; it is shown once. A station that nobody has
put ("tapctl station put") is refused, so that a mistyped name makes none; with --new
it is made, without an account and with the default mode, and can be put later.`,
		Example: `  tapctl token create plant/press/line-4/hmi-1 | ssh hmi-1 tapagent enrol
  tapctl token create plant/press/line-4/hmi-1 --for 72h -o json`,
		RunE: func(c *cobra.Command, args []string) error {
			req := &taplinev1.CreateTokenRequest{Station: args[0], MustExist: !fresh}
			if lasts != 0 {
				req.Lifetime = durationpb.New(lasts)
			}
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.CreateToken(ctx, req)
				if err != nil {
					return err
				}
				return show(c, o, r, "%s", r.GetSecret())
			})
		},
	}
	c.Flags().DurationVar(&lasts, "for", 0, "how long it can be used (default 24h, at most 7 days)")
	c.Flags().BoolVar(&fresh, "new", false, "also for a station that nobody has put yet")
	return c
}

func tokenList(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List tokens, without their secrets", Args: cobra.ExactArgs(0),
		RunE: func(c *cobra.Command, _ []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				all, err := pages(func(token string) ([]*taplinev1.Token, string, error) {
					r, err := b.admin.ListTokens(ctx, &taplinev1.ListTokensRequest{PageSize: pageSize, PageToken: token})
					return r.GetTokens(), r.GetNextPageToken(), err
				})
				if err != nil {
					return err
				}
				return list(c, o, all,
					column[*taplinev1.Token]{"ID", (*taplinev1.Token).GetId},
					column[*taplinev1.Token]{"STATION", (*taplinev1.Token).GetStation},
					column[*taplinev1.Token]{"STATE", func(t *taplinev1.Token) string { return tokenState(t, time.Now()) }},
					column[*taplinev1.Token]{"EXPIRES", func(t *taplinev1.Token) string { return when(t.GetExpiresAt()) }},
					column[*taplinev1.Token]{"MADE BY", (*taplinev1.Token).GetCreatedBy})
			})
		},
	}
}

func tokenState(t *taplinev1.Token, now time.Time) string {
	switch {
	case t.GetRevoked():
		return "revoked"
	case t.GetUsedAt() != nil:
		return "used"
	case now.After(t.GetExpiresAt().AsTime()):
		return "expired"
	}
	return "open"
}

func tokenRevoke(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "revoke ID", Short: "Make a token worthless", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.RevokeToken(ctx, &taplinev1.RevokeTokenRequest{Id: args[0]})
				if err != nil {
					return err
				}
				return show(c, o, r, "token %s revoked", args[0])
			})
		},
	}
}
