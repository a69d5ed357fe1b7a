package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"tapline/agent"
	"tapline/installer/osservice"
	"tapline/proto/wire"
)

func (c *cli) enrolCommand() *cobra.Command {
	var token, file, broker string
	var replace bool
	e := &cobra.Command{
		Use:   "enrol [--token-file FILE]",
		Short: "Make this machine a station, with a one-use token",
		Long: `Trades a one-use token for the station's identity. The token carries the station's
name, the broker's address and the broker's root: nothing else is needed. It is
read from standard input unless --token-file or --token is given; a token on
the command line can be seen by others on this machine.

Run by root, it goes on as the account that owns the state folder, so that the
service can read what it leaves. It is safe to repeat after a failure, with the
same token.`,
		Example: "  tapctl token create berlin/packing/line-3/press-4 | ssh press-4 sudo tapagent enrol\n  sudo tapagent enrol --token-file token.txt",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.load()
			if err != nil {
				return err
			}
			t, err := readToken(cmd.InOrStdin(), token, file)
			if err != nil {
				return err
			}
			if err := becomeOwner(cfg.StateDir); err != nil {
				return err
			}
			if broker != "" {
				t.Brokers = append([]string{broker}, t.Brokers...)
			}
			began := time.Now()
			id, err := agent.Enrol(cmd.Context(), cfg, t, agent.EnrolOptions{Build: build(), Replace: replace, Log: zap.NewNop()})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "enrolled as %s in %s\n  certificate until %s, renewed by itself\n  keys in %s\nnext: tapagent check, then tapagent run\n",
				id.Station, time.Since(began).Round(time.Millisecond), id.NotAfter.Local().Format("2006-01-02 15:04"), id.Keys)
			return err
		},
	}
	e.Flags().StringVar(&file, "token-file", "", "file that holds the token; - is standard input")
	e.Flags().StringVar(&token, "token", "", "the token itself")
	e.Flags().StringVar(&broker, "broker", "", "host:port to try before those that the token names")
	e.Flags().BoolVar(&replace, "replace", false, "enrol again over an identity that is there; the old journal is kept beside the new one")
	e.MarkFlagsMutuallyExclusive("token", "token-file")
	return e
}

// maxToken is more than any token has.
const maxToken = 64 << 10

func readToken(stdin io.Reader, token, file string) (wire.Token, error) {
	const hint = "it is the line that \"tapctl token create STATION\" printed, beginning with tl1."
	if token == "" {
		in := stdin
		if file != "" && file != "-" {
			f, err := os.Open(file)
			if err != nil {
				return wire.Token{}, osservice.Fault(osservice.Usage, fmt.Errorf("read token: %w", err), "name a file that this account can read")
			}
			defer f.Close()
			in = f
		}
		b, err := io.ReadAll(io.LimitReader(in, maxToken))
		if err != nil {
			return wire.Token{}, osservice.Fault(osservice.Usage, fmt.Errorf("read token: %w", err), hint)
		}
		token = string(b)
	}
	t, err := wire.ParseToken(token)
	return t, osservice.Fault(osservice.Usage, err, hint)
}
