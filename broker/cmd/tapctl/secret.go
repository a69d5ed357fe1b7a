package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tapline/installer/osservice"
	taplinev1 "tapline/proto/tapline/v1"
)

func accountSecret(o *options) *cobra.Command {
	return noun("secret", "The secret of a shared account: set, status", `The broker keeps the secret of a shared account for stations that sign in with it.
It is never shown: there is no command that reads it.`,
		secretSet(o), secretStatus(o))
}

func secretSet(o *options) *cobra.Command {
	var station string
	c := &cobra.Command{
		Use: "set ACCOUNT", Short: "Tell the broker the secret, as you have set it where it counts", Args: cobra.ExactArgs(1),
		Long: `Reads the secret from the terminal, without showing it, or from standard input.
For an account with the driver "ldap" the directory is asked first whether it takes
it. It ends a change that waits for a person, and one that is stuck.`,
		Example: "  tapctl account secret set press-hmi\n  pass show press-hmi | tapctl account secret set press-hmi",
		RunE: func(c *cobra.Command, args []string) error {
			secret, err := readSecret(c, o)
			if err != nil {
				return err
			}
			defer clear(secret)
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.SetAccountSecret(ctx, &taplinev1.SetAccountSecretRequest{Account: args[0], Station: station, Secret: secret})
				if err != nil {
					return err
				}
				return show(c, o, r.GetSecret(), "account %s: version %d is in force", args[0], r.GetSecret().GetVersion())
			})
		},
	}
	c.Flags().StringVar(&station, "station", "", "the station, for an account that each station has its own of")
	c.Flags().Bool("stdin", false, "read from standard input even if it is a terminal")
	return c
}

// maxSecret is more than the broker takes: it says what is too long.
const maxSecret = 4096

// readSecret reads one line.
func readSecret(c *cobra.Command, o *options) ([]byte, error) {
	if f, ok := o.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) && !c.Flags().Changed("stdin") {
		fmt.Fprint(c.ErrOrStderr(), "secret: ")
		secret, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(c.ErrOrStderr())
		return secret, err
	}
	b, err := io.ReadAll(io.LimitReader(o.in, maxSecret))
	if err != nil {
		return nil, fmt.Errorf("read secret: %w", err)
	}
	b = bytes.TrimRight(b, "\r\n")
	if len(b) == 0 {
		return nil, osservice.Fault(osservice.Usage, errors.New("no secret on standard input"), "one line with the secret")
	}
	return b, nil
}

func secretStatus(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "status [ACCOUNT]", Short: "How the secrets stand: version, age, change under way", Args: cobra.MaximumNArgs(1),
		Example: "  tapctl account secret status\n  tapctl account secret status operator -o json",
		RunE: func(c *cobra.Command, args []string) error {
			account := strings.Join(args, "")
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				all, err := pages(func(token string) ([]*taplinev1.AccountSecret, string, error) {
					r, err := b.admin.ListAccountSecrets(ctx, &taplinev1.ListAccountSecretsRequest{PageSize: pageSize, PageToken: token, Account: account})
					return r.GetSecrets(), r.GetNextPageToken(), err
				})
				if err != nil {
					return err
				}
				return listSecrets(c, o, all)
			})
		},
	}
}

func listSecrets(c *cobra.Command, o *options, all []*taplinev1.AccountSecret) error {
	type row = *taplinev1.AccountSecret
	return list(c, o, all,
		column[row]{"ACCOUNT", row.GetAccount},
		column[row]{"STATION", row.GetStation},
		column[row]{"VERSION", func(s row) string { return fmt.Sprint(s.GetVersion()) }},
		column[row]{"STATE", func(s row) string { return stateText(s) }},
		column[row]{"KEPT IN", row.GetKept},
		column[row]{"AGE", func(s row) string { return age(s, time.Now()) }},
		column[row]{"SET BY", row.GetSetBy},
		column[row]{"HANDED OUT", func(s row) string { return when(s.GetReleasedAt()) }},
		column[row]{"OLD ONE UNTIL", func(s row) string { return when(s.GetOldUntil()) }})
}

// secretsOf tells how the secrets of all accounts stand, by account, for a table; JSON has the accounts alone. Who may not see secrets sees no state.
func secretsOf(ctx context.Context, o *options, b client) (map[string][]*taplinev1.AccountSecret, error) {
	if o.output == "json" {
		return nil, nil
	}
	all, err := pages(func(token string) ([]*taplinev1.AccountSecret, string, error) {
		r, err := b.admin.ListAccountSecrets(ctx, &taplinev1.ListAccountSecretsRequest{PageSize: pageSize, PageToken: token})
		return r.GetSecrets(), r.GetNextPageToken(), err
	})
	if status.Code(err) == codes.PermissionDenied {
		return nil, nil
	}
	found := map[string][]*taplinev1.AccountSecret{}
	for _, s := range all {
		found[s.GetAccount()] = append(found[s.GetAccount()], s)
	}
	return found, err
}

// secretText is the state of an account's secrets; where each station has its own, how many are in which.
func secretText(all []*taplinev1.AccountSecret) string {
	switch len(all) {
	case 0:
		return "none"
	case 1:
		return stateText(all[0])
	}
	counts := map[string]int{}
	for _, s := range all {
		counts[s.GetState()]++
	}
	var parts []string
	for _, state := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[state], state))
	}
	return strings.Join(parts, ", ")
}

// oldest is the age of the oldest secret of an account.
func oldest(all []*taplinev1.AccountSecret, now time.Time) string {
	var first *taplinev1.AccountSecret
	for _, s := range all {
		if s.GetSince() != nil && (first == nil || s.GetSince().AsTime().Before(first.GetSince().AsTime())) {
			first = s
		}
	}
	return age(first, now)
}

func stateText(s *taplinev1.AccountSecret) string {
	if s.GetCause() == "" {
		return s.GetState()
	}
	text := s.GetState() + " (" + s.GetCause()
	if s.GetReason() != "" {
		text += ", " + s.GetReason()
	}
	if s.GetTries() > 0 {
		text += fmt.Sprintf(", %d tries", s.GetTries())
	}
	return text + ")"
}

func age(s *taplinev1.AccountSecret, now time.Time) string {
	if s.GetSince() == nil {
		return "-"
	}
	switch d := max(0, now.Sub(s.GetSince().AsTime())); {
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days", int(d.Hours())/24)
	}
}

func accountRotate(o *options) *cobra.Command {
	req := &taplinev1.RotateAccountSecretRequest{}
	c := &cobra.Command{
		Use: "rotate ACCOUNT", Short: "Change the secret of a shared account", Args: cobra.ExactArgs(1),
		Long: `Asks the broker to change the secret: as soon as nobody holds the account, or at
once with --now. A change that is stuck is tried again. With the driver "manual" a
person is asked to (see "tapctl alarm list").`,
		Example: "  tapctl account rotate press-hmi\n  tapctl account rotate operator --station plant/press/line-4/hmi-1 --now",
		RunE: func(c *cobra.Command, args []string) error {
			req.Account = args[0]
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.admin.RotateAccountSecret(ctx, req)
				if err != nil {
					return err
				}
				return listSecrets(c, o, r.GetSecrets())
			})
		},
	}
	c.Flags().StringVar(&req.Station, "station", "", "one station, for an account that each station has its own of (default: all)")
	c.Flags().BoolVar(&req.Now, "now", false, "also while somebody holds it")
	return c
}
