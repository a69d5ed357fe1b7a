package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	taplinev1 "tapline/proto/tapline/v1"
)

func accountCommands(o *options) *cobra.Command {
	return noun("account", "Shared accounts: put, list, delete, secret, rotate", `A shared account is what a station runs under. Each station that runs under
it holds it for one person at a time; --capacity bounds how many stations do at
once. The broker may keep its secret, hand it to stations that sign in with it,
and change it after each use.`,
		accountPut(o), accountList(o), accountDelete(o), accountSecret(o), accountRotate(o))
}

func accountPut(o *options) *cobra.Command {
	a := &taplinev1.Account{}
	var lease, age, window time.Duration
	c := &cobra.Command{
		Use: "put ID", Short: "Make a shared account, or replace its settings", Args: cobra.ExactArgs(1),
		Long: "Makes an account, or replaces all of its settings: what no flag names goes back to its default.",
		Example: `  tapctl account put press-hmi --station plant/press/
  tapctl account put lab-pc --capacity 4 --lease 2h
  tapctl account put operator --driver local --rotate-after 720h
  tapctl account put svc-hmi --driver ldap --name "CN=svc-hmi,OU=Shared,DC=plant" --vault openbao`,
		RunE: func(c *cobra.Command, args []string) error {
			a.Id = args[0]
			if lease != 0 {
				a.LeaseTime = durationpb.New(lease)
			}
			if age != 0 {
				a.RotateAfter = durationpb.New(age)
			}
			if c.Flags().Changed("old-secret-window") {
				a.OldSecretWindow = durationpb.New(window)
			}
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.PutAccount(ctx, &taplinev1.PutAccountRequest{Account: a})
				if err != nil {
					return err
				}
				return show(c, o, r.GetAccount(), "account %s", r.GetAccount().GetId())
			})
		},
	}
	f := c.Flags()
	f.StringVar(&a.Driver, "driver", "none", "how its secret changes: none, manual, ldap or local")
	f.StringVar(&a.Name, "name", "", "its name where the secret counts: a DN or logon name for ldap, a user for local (default: the ID)")
	f.DurationVar(&age, "rotate-after", 0, "change the secret when it is this old (default never)")
	f.BoolVar(&a.KeepAfterRelease, "keep-after-release", false, "do not change the secret after the last session that was handed it")
	f.StringVar(&a.Vault, "vault", "", "where its next secret is kept: openbao (default the broker's own store)")
	f.Uint32Var(&a.SecretLength, "secret-length", 0, "characters of a new secret (default 24)")
	f.DurationVar(&window, "old-secret-window", 0, "how long the system goes on taking the old secret (default: what the driver knows)")
	f.Uint32Var(&a.Capacity, "capacity", 0, "how many stations may hold it at once (default: as many as run under it)")
	f.DurationVar(&lease, "lease", 0, "how long a lease lasts unless extended (default 12h)")
	f.StringSliceVar(&a.Stations, "station", nil, "station that runs under it; a trailing / takes all below")
	return c
}

func accountList(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List shared accounts", Args: cobra.ExactArgs(0),
		RunE: func(c *cobra.Command, _ []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				all, err := pages(func(token string) ([]*taplinev1.Account, string, error) {
					r, err := b.admin.ListAccounts(ctx, &taplinev1.ListAccountsRequest{PageSize: pageSize, PageToken: token})
					return r.GetAccounts(), r.GetNextPageToken(), err
				})
				if err != nil {
					return err
				}
				secrets, err := secretsOf(ctx, o, b)
				if err != nil {
					return err
				}
				return list(c, o, all,
					column[*taplinev1.Account]{"ID", (*taplinev1.Account).GetId},
					column[*taplinev1.Account]{"DRIVER", (*taplinev1.Account).GetDriver},
					column[*taplinev1.Account]{"SECRET", func(a *taplinev1.Account) string { return secretText(secrets[a.GetId()]) }},
					column[*taplinev1.Account]{"AGE", func(a *taplinev1.Account) string { return oldest(secrets[a.GetId()], time.Now()) }},
					column[*taplinev1.Account]{"CAPACITY", func(a *taplinev1.Account) string { return capacity(a) }},
					column[*taplinev1.Account]{"LEASE", func(a *taplinev1.Account) string { return lasting(a.GetLeaseTime()) }},
					column[*taplinev1.Account]{"STATIONS", func(a *taplinev1.Account) string { return strings.Join(a.GetStations(), ", ") }})
			})
		},
	}
}

func capacity(a *taplinev1.Account) string {
	if a.GetCapacity() == 0 {
		return "each station"
	}
	return fmt.Sprint(a.GetCapacity())
}

func accountDelete(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "delete ID", Short: "Delete a shared account", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.DeleteAccount(ctx, &taplinev1.DeleteAccountRequest{Id: args[0]})
				if err != nil {
					return err
				}
				return show(c, o, r, "account %s deleted", args[0])
			})
		},
	}
}
