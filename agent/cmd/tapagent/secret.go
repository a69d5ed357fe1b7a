package main

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tapline/installer/osservice"
	taplinev1 "tapline/proto/tapline/v1"
)

func (c *cli) secretCommand() *cobra.Command {
	var session string
	cmd := &cobra.Command{
		Use:   "secret",
		Short: "Hand the secret of the session's account to a program",
		Long: `Asks the broker for the secret of the shared account of the session in force, and
writes it to standard output for the program that signs the operating system in.
The record that says so is on the disk before. The station must be in the mode
"signin" at the broker, and the caller root or the agent's own account.

It does not write to a terminal: a secret is for a program, not for the screen.`,
		Example: "  tapagent secret | sign-in-helper",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := cmd.OutOrStdout()
			if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
				return osservice.Fault(osservice.Usage, errors.New("standard output is a terminal"), "pipe it into the program that needs it")
			}
			return c.ask(cmd.Context(), 2*askWithin, func(ctx context.Context, local taplinev1.LocalServiceClient) error {
				r, err := local.FetchSecret(ctx, &taplinev1.FetchSecretRequest{Session: session})
				if err != nil {
					return localFault(err)
				}
				defer clear(r.GetSecret())
				_, err = out.Write(r.GetSecret())
				return err
			})
		},
	}
	cmd.Flags().StringVar(&session, "session", "", "of this session alone (default: the one in force)")
	return cmd
}
