package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	"tapline/installer/osservice"
	taplinev1 "tapline/proto/tapline/v1"
)

func adminCommands(o *options) *cobra.Command {
	return noun("admin", "Who administers: invite, list, revoke, readmit, renew", `Whoever calls the broker is an officer in one role:

  admin       everything
  security    policy, revocation, officers, alarms, evidence
  supervisor  the help desk's, visits, leases, alarms
  helpdesk    badges, PINs, help codes
  auditor     reads, and changes nothing

Roles are in the certificate and end with it; each act is recorded with name and
role. Unless the configuration says otherwise (two_person), nobody but an admin
gives the same person both badge and PIN within a day.`,
		adminInvite(o), adminList(o), adminRevoke(o), adminReadmit(o), adminRenew(o))
}

func officerColumns() []column[*taplinev1.Officer] {
	return []column[*taplinev1.Officer]{
		{"NAME", (*taplinev1.Officer).GetName},
		{"ROLE", (*taplinev1.Officer).GetRole},
		{"FROM", (*taplinev1.Officer).GetSource},
		{"STATE", func(f *taplinev1.Officer) string { return officerState(f, time.Now()) }},
		{"CERTIFICATE UNTIL", func(f *taplinev1.Officer) string { return when(f.GetCertificateExpiresAt()) }},
		{"LAST LOGIN", func(f *taplinev1.Officer) string { return when(f.GetLastLoginAt()) }},
		{"ADDED BY", (*taplinev1.Officer).GetAddedBy},
	}
}

func officerState(f *taplinev1.Officer, now time.Time) string {
	switch {
	case f.GetRevokedAt() != nil:
		return strings.TrimSpace("revoked " + f.GetReason())
	case f.GetCertificateExpiresAt() == nil:
		return "invited"
	case now.After(f.GetCertificateExpiresAt().AsTime()):
		return "expired"
	}
	return "good"
}

func adminInvite(o *options) *cobra.Command {
	req := &taplinev1.InviteOfficerRequest{}
	var lasts, life time.Duration
	c := &cobra.Command{
		Use: "invite NAME", Short: "Invite somebody to administer or to audit; the word is shown once", Args: cobra.ExactArgs(1),
		Long: `Prints a word that NAME gives to "tapctl login" on their own machine, where the key
is made and stays. Send it by a way that is theirs alone. Inviting somebody again
voids the former invitation; with another role it ends their certificates too.`,
		Example: `  tapctl admin invite olga --role helpdesk
  tapctl admin invite "ext.auditor" --role auditor --for 72h --life 168h`,
		RunE: func(c *cobra.Command, args []string) error {
			req.Name = args[0]
			if lasts != 0 {
				req.Lifetime = durationpb.New(lasts)
			}
			if life != 0 {
				req.CertificateLife = durationpb.New(life)
			}
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.officers.InviteOfficer(ctx, req)
				if err != nil {
					return err
				}
				return show(c, o, r, "%s", r.GetSecret())
			})
		},
	}
	f := c.Flags()
	f.StringVar(&req.Role, "role", "", "admin, security, supervisor, helpdesk or auditor")
	f.DurationVar(&lasts, "for", 0, "how long the invitation can be used (default 24h, at most 7 days)")
	f.DurationVar(&life, "life", 0, "how long each certificate is good (default 30 days, 1h to 90 days)")
	must(c.MarkFlagRequired("role"))
	must(c.RegisterFlagCompletionFunc("role", cobra.FixedCompletions([]string{"admin", "security", "supervisor", "helpdesk", "auditor"}, cobra.ShellCompDirectiveNoFileComp)))
	return c
}

func adminList(o *options) *cobra.Command {
	query := ""
	c := &cobra.Command{
		Use: "list", Short: "List who may administer or audit", Args: cobra.ExactArgs(0),
		RunE: func(c *cobra.Command, _ []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				all, err := pages(func(token string) ([]*taplinev1.Officer, string, error) {
					r, err := b.officers.ListOfficers(ctx, &taplinev1.ListOfficersRequest{PageSize: pageSize, PageToken: token, Query: query})
					return r.GetOfficers(), r.GetNextPageToken(), err
				})
				if err != nil {
					return err
				}
				return list(c, o, all, officerColumns()...)
			})
		},
	}
	c.Flags().StringVar(&query, "query", "", "only names that hold this text")
	return c
}

func adminRevoke(o *options) *cobra.Command {
	reason := ""
	c := &cobra.Command{
		Use: "revoke NAME", Short: "End somebody's access at once", Args: cobra.ExactArgs(1),
		Long: `Every certificate and invitation of NAME is refused from now on, and so are later
logins. For "local", the broker's own machine, the certificate ends and the broker
makes itself a new one: whoever owns that machine administers it.`,
		RunE: func(c *cobra.Command, args []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.officers.RevokeOfficer(ctx, &taplinev1.RevokeOfficerRequest{Name: args[0], Reason: reason})
				if err != nil {
					return err
				}
				return show(c, o, r.GetOfficer(), "%s can no longer call the broker", args[0])
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "left", "a short word: left, lost, stolen")
	return c
}

func adminReadmit(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "readmit NAME", Short: "Let somebody who was revoked log in again", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.officers.ReadmitOfficer(ctx, &taplinev1.ReadmitOfficerRequest{Name: args[0]})
				if err != nil {
					return err
				}
				return show(c, o, r.GetOfficer(), "%s may log in again, as %s", args[0], r.GetOfficer().GetRole())
			})
		},
	}
}

func adminRenew(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "renew", Short: "Renew your own identity before it ends", Args: cobra.ExactArgs(0),
		Long: `Makes a new key and certificate in place of those in hand. An identity that came by
OIDC is not renewed: log in again.`,
		RunE: func(c *cobra.Command, _ []string) error {
			dir := o.folder()
			if dir == defaultIdentity {
				return osservice.Fault(osservice.Usage, fmt.Errorf("%s is the broker's own identity, which it renews by itself", dir), "name yours with --context or --identity")
			}
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				key, _, err := newKey()
				if err != nil {
					return fmt.Errorf("make key: %w", err)
				}
				csr, err := request(key)
				if err != nil {
					return fmt.Errorf("make key: %w", err)
				}
				r, err := b.officers.RenewOfficer(ctx, &taplinev1.RenewOfficerRequest{Csr: csr})
				if err != nil {
					return err
				}
				if err := keep(dir, r.GetIdentity(), key); err != nil {
					return err
				}
				return show(c, o, r.GetIdentity().GetOfficer(), "renewed until %s", when(r.GetIdentity().GetExpiresAt()))
			})
		},
	}
}

func whoamiCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "whoami", Short: "Say who you are to the broker, and what that opens", Args: cobra.ExactArgs(0),
		RunE: func(c *cobra.Command, _ []string) error {
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.officers.WhoAmI(ctx, &taplinev1.WhoAmIRequest{})
				if err != nil {
					return err
				}
				may := make([]string, len(r.GetMay()))
				for i, m := range r.GetMay() {
					may[i] = m[strings.LastIndexByte(m, '/')+1:]
				}
				return show(c, o, r, "name      %s\nrole      %s\nsite      %s\nuntil     %s\nserial    %s\nidentity  %s\nmay       %s",
					r.GetOfficer().GetName(), r.GetOfficer().GetRole(), r.GetSite(), when(r.GetExpiresAt()), r.GetSerial(), o.folder(), strings.Join(may, " "))
			})
		},
	}
}

func exitCodes() *cobra.Command {
	return &cobra.Command{
		Use: "exit-codes", Short: "List the codes that commands end with", Args: cobra.ExactArgs(0),
		RunE: func(c *cobra.Command, _ []string) error {
			for _, m := range osservice.ExitCodes() {
				if _, err := fmt.Fprintf(c.OutOrStdout(), "%2d  %-18s %s\n", int(m.Code), m.Name, m.Meaning); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
