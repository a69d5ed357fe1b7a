package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	taplinev1 "tapline/proto/tapline/v1"
)

func leaseCommands(o *options) *cobra.Command {
	return noun("lease", "Leases: list, end", "A lease is who holds which shared account at which station until when.",
		leaseList(o), leaseEnd(o))
}

func leaseList(o *options) *cobra.Command {
	var account string
	c := &cobra.Command{
		Use: "list", Short: "List leases in force", Args: cobra.ExactArgs(0),
		RunE: func(c *cobra.Command, _ []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				all, err := pages(func(token string) ([]*taplinev1.HeldLease, string, error) {
					r, err := b.admin.ListLeases(ctx, &taplinev1.ListLeasesRequest{PageSize: pageSize, PageToken: token, Account: account})
					return r.GetLeases(), r.GetNextPageToken(), err
				})
				if err != nil {
					return err
				}
				return list(c, o, all,
					column[*taplinev1.HeldLease]{"ID", func(l *taplinev1.HeldLease) string { return l.GetLease().GetId() }},
					column[*taplinev1.HeldLease]{"ACCOUNT", func(l *taplinev1.HeldLease) string { return l.GetLease().GetAccount() }},
					column[*taplinev1.HeldLease]{"PERSON", (*taplinev1.HeldLease).GetPerson},
					column[*taplinev1.HeldLease]{"STATION", (*taplinev1.HeldLease).GetStation},
					column[*taplinev1.HeldLease]{"SINCE", func(l *taplinev1.HeldLease) string { return when(l.GetOpenedAt()) }},
					column[*taplinev1.HeldLease]{"UNTIL", func(l *taplinev1.HeldLease) string { return when(l.GetLease().GetExpiresAt()) }},
					column[*taplinev1.HeldLease]{"FENCE", func(l *taplinev1.HeldLease) string { return fmt.Sprint(l.GetLease().GetFence()) }})
			})
		},
	}
	c.Flags().StringVar(&account, "account", "", "of one shared account")
	return c
}

func leaseEnd(o *options) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "end ID", Short: "End a lease and the session that holds it", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.EndLease(ctx, &taplinev1.EndLeaseRequest{Id: args[0], Reason: reason})
				if err != nil {
					return err
				}
				return show(c, o, r, "lease %s ended", args[0])
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "administrator", "a short word")
	return c
}
