package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	taplinev1 "tapline/proto/tapline/v1"
)

func scimCommands(o *options) *cobra.Command {
	return noun("scim", "SCIM clients: token", `An identity provider such as Entra ID or Okta tells the broker who joins and who
leaves, at https://BROKER:PORT/scim/v2 where scim_listen in broker.yaml says so.`,
		noun("token", "Tokens of SCIM clients: create, list, revoke", `A SCIM client shows a bearer token. What it changes is recorded under the token's name.`,
			scimTokenCreate(o), scimTokenList(o), scimTokenRevoke(o)))
}

func scimTokenCreate(o *options) *cobra.Command {
	var days uint32
	c := &cobra.Command{
		Use: "create NAME", Short: "Make a token for a client; it is shown once", Args: cobra.ExactArgs(1),
		Example: "  tapctl scim token create entra\n  tapctl scim token create okta --days 90 -o json",
		RunE: func(c *cobra.Command, args []string) error {
			req := &taplinev1.CreateScimTokenRequest{Name: args[0]}
			if days > 0 {
				req.Lifetime = durationpb.New(time.Duration(days) * 24 * time.Hour)
			}
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.CreateScimToken(ctx, req)
				if err != nil {
					return err
				}
				return show(c, o, r, "%s", r.GetSecret())
			})
		},
	}
	c.Flags().Uint32Var(&days, "days", 0, "how long it can be used (default 365, at most 1096)")
	return c
}

func scimTokenList(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List tokens, without their secrets", Args: cobra.ExactArgs(0),
		RunE: func(c *cobra.Command, _ []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				all, err := pages(func(token string) ([]*taplinev1.ScimToken, string, error) {
					r, err := b.admin.ListScimTokens(ctx, &taplinev1.ListScimTokensRequest{PageSize: pageSize, PageToken: token})
					return r.GetTokens(), r.GetNextPageToken(), err
				})
				if err != nil {
					return err
				}
				return list(c, o, all,
					column[*taplinev1.ScimToken]{"ID", (*taplinev1.ScimToken).GetId},
					column[*taplinev1.ScimToken]{"NAME", (*taplinev1.ScimToken).GetName},
					column[*taplinev1.ScimToken]{"STATE", func(t *taplinev1.ScimToken) string { return scimTokenState(t, time.Now()) }},
					column[*taplinev1.ScimToken]{"EXPIRES", func(t *taplinev1.ScimToken) string { return when(t.GetExpiresAt()) }},
					column[*taplinev1.ScimToken]{"LAST USED", func(t *taplinev1.ScimToken) string { return when(t.GetLastUsedAt()) }},
					column[*taplinev1.ScimToken]{"MADE BY", (*taplinev1.ScimToken).GetCreatedBy})
			})
		},
	}
}

func scimTokenState(t *taplinev1.ScimToken, now time.Time) string {
	switch {
	case t.GetRevoked():
		return "revoked"
	case now.After(t.GetExpiresAt().AsTime()):
		return "expired"
	}
	return "active"
}

func scimTokenRevoke(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "revoke ID", Short: "Make a token worthless at once", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.RevokeScimToken(ctx, &taplinev1.RevokeScimTokenRequest{Id: args[0]})
				if err != nil {
					return err
				}
				return show(c, o, r, "token %s revoked", args[0])
			})
		},
	}
}
