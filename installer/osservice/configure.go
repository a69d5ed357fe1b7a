package osservice

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// ConfigureCommand is the "configure" verb that installers call after laying down the files: it gives the service its
// folder and recovery and, when there is a token, leaves the hand-over for its first start.
func ConfigureCommand(spec Spec) *cobra.Command {
	var broker, token, file string
	var stdin bool
	c := &cobra.Command{
		Use:   "configure --broker HOST:PORT [--token-file FILE | --token-stdin]",
		Short: "Prepare the installed service: folder, recovery, enrolment at its next start",
		Long: `For installers and deployment tools, to be run as an administrator. Makes the
service's folder, which only the service and administrators can open, sets what
the service manager does when the service dies, and, with a token, leaves it in
that folder: the service enrols at its next start and destroys it.

A token on the command line can be seen in process lists and audit logs. Prefer
--token-file or --token-stdin; --token is for the MSI, which has no other way.`,
		Example: "  " + programOf(spec) + " configure --broker broker.plant.example:8443 --token-file token.txt",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			t, err := tokenFrom(c, token, file, stdin)
			if err != nil {
				return err
			}
			return configure(spec, broker, t)
		},
	}
	c.Flags().StringVar(&broker, "broker", "", "the broker's address, host:port")
	c.Flags().StringVar(&file, "token-file", "", "file that holds the one-use enrolment token")
	c.Flags().BoolVar(&stdin, "token-stdin", false, "read the one-use enrolment token from stdin")
	c.Flags().StringVar(&token, "token", "", "the token itself; empty for none")
	c.MarkFlagsMutuallyExclusive("token", "token-file", "token-stdin")
	return c
}

// tokenFrom reads the token from the one place that was named.
func tokenFrom(c *cobra.Command, token, file string, stdin bool) (Token, error) {
	var content []byte
	var err error
	switch {
	case stdin:
		content, err = io.ReadAll(io.LimitReader(c.InOrStdin(), 64<<10))
	case file != "":
		content, err = os.ReadFile(file)
	default:
		return Token(token), nil
	}
	if err != nil {
		return "", Fault(Usage, fmt.Errorf("read token: %w", err), "name a file that this account can read")
	}
	return Token(strings.TrimSpace(string(content))), nil
}

// configure is safe to repeat: an upgrade runs it again, without a token.
func configure(spec Spec, broker string, token Token) error {
	h := Handover{Broker: broker, Token: token}
	if token != "" {
		if err := h.check(); err != nil {
			return Fault(Usage, err, "for example: --broker broker.plant.example:8443")
		}
	}
	dir, err := Folder(spec)
	if err != nil {
		return err
	}
	if err := SecureFolder(dir); err != nil {
		return Fault(NotPermitted, err, elevationHint())
	}
	if token != "" {
		if err := leave(spec, dir, h); err != nil {
			return err
		}
	}
	return recoverIfInstalled(spec)
}

func recoverIfInstalled(spec Spec) error {
	state, err := Status(spec)
	if CodeOf(err) == NoManager || (err == nil && state == StateNotInstalled) {
		return nil
	}
	if err != nil {
		return err
	}
	return Recover(spec)
}
