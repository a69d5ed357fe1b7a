package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tapline/agent/token"
	"tapline/installer/osservice"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

func (c *cli) tokenCommand() *cobra.Command {
	t := &cobra.Command{
		Use: "token", Short: "Tell a server who is at the station: short-lived tokens",
		Long: `A token is a JSON Web Token that says who is at this station now. It is good for a
minute and for one audience. Whoever gets one checks it with the station's key set,
and remembers its jti until it has expired, so that it is used once.`,
		Example: "  tapagent token issue mes.plant.example\n  tapagent token keys >press-4.jwks\n  tapagent token verify --keys press-4.jwks --audience mes.plant.example <token.txt",
	}
	t.AddCommand(c.tokenIssueCommand(), c.tokenKeysCommand(), tokenVerifyCommand())
	return t
}

func (c *cli) tokenIssueCommand() *cobra.Command {
	req := &taplinev1.IssueTokenRequest{}
	i := &cobra.Command{
		Use: "issue AUDIENCE", Short: "Print a token for AUDIENCE", Args: cobra.ExactArgs(1),
		Long: `Prints a token for AUDIENCE in the name of the person who is here. That it was made is
a record. Root gets one for any audience, other accounts for those that the agent's
configuration names (tokens.audiences).`,
		Example: "  tapagent token issue mes.plant.example",
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Audience = args[0]
			return c.ask(cmd.Context(), askWithin, func(ctx context.Context, local taplinev1.LocalServiceClient) error {
				r, err := local.IssueToken(ctx, req)
				if err != nil {
					return tokenFault(err)
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), r.GetToken())
				return err
			})
		},
	}
	i.Flags().BoolVar(&req.WithName, "with-name", false, "say the person's name too, not the ID alone")
	return i
}

// tokenFault says what an error of a token means.
func tokenFault(err error) error {
	switch wire.KindOf(err) {
	case wire.Precondition, wire.Busy:
		return osservice.Fault(osservice.Refused, err, "")
	case wire.Denied:
		return osservice.Fault(osservice.NotPermitted, err, "")
	case wire.Invalid:
		return osservice.Fault(osservice.Usage, err, "")
	}
	return localFault(err)
}

func (c *cli) tokenKeysCommand() *cobra.Command {
	return &cobra.Command{
		Use: "keys", Short: "Print the key set that checks this station's tokens", Args: cobra.NoArgs,
		Long:    "Prints the station's key set as JSON (RFC 7517). It is no secret; bring it to whoever checks tokens by a way that they trust.",
		Example: "  tapagent token keys >press-4.jwks",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.ask(cmd.Context(), askWithin, func(ctx context.Context, local taplinev1.LocalServiceClient) error {
				r, err := local.GetTokenKeys(ctx, &taplinev1.GetTokenKeysRequest{})
				if err != nil {
					return localFault(err)
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), r.GetJwks())
				return err
			})
		},
	}
}

func tokenVerifyCommand() *cobra.Command {
	var keys, audience, station string
	v := &cobra.Command{
		Use: "verify --keys FILE --audience AUDIENCE", Short: "Check a token from standard input", Args: cobra.NoArgs,
		Long: `Checks a token as its audience does, with nothing but the key set of the station:
signature, audience, times. It needs no agent. That a token is used once is for the
audience to see to, by its jti.`,
		Example: "  tapagent token verify --keys press-4.jwks --audience mes.plant.example <token.txt",
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := os.ReadFile(keys)
			if err != nil {
				return osservice.Fault(osservice.Usage, err, "\"tapagent token keys\" at the station prints its key set")
			}
			text, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			s, err := token.Check(set, strings.TrimSpace(text), audience, station, time.Now())
			if err != nil {
				return osservice.Fault(osservice.Refused, err, "do not believe it")
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "good until %s\nstation  %s\nperson   %s %s\nsession  %s\nmode     %s\nmethods  %s (badge assurance %d)\njti      %s\n",
				s.Expires.Format(time.RFC3339), s.Station, s.Person, s.Name, s.Session, s.Mode, strings.Join(s.Methods, " "), s.Assurance, s.ID)
			return err
		},
	}
	f := v.Flags()
	f.StringVar(&keys, "keys", "", "key set of the station")
	f.StringVar(&audience, "audience", "", "who you are")
	f.StringVar(&station, "station", "", "the station that it must be from; default: any of the key set")
	for _, name := range []string{"keys", "audience"} {
		if err := v.MarkFlagRequired(name); err != nil {
			panic(err)
		}
	}
	return v
}
