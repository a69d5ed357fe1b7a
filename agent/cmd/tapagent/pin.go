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
	"golang.org/x/term"

	"tapline/installer/osservice"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

func (c *cli) pinCommand() *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "pin",
		Short: "Type the PIN that a tap waits for",
		Long: `Where a station has no panel with a pad: tap your badge, and when the station asks
for a PIN, type it here. The terminal does not show it, and it is kept nowhere. The
tap waits for a moment (session.pin_within), and another badge calls it off.

From a script the PIN is one line on standard input.`,
		Example: "  tapagent pin\n  tapagent pin --wait 5m",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.ask(cmd.Context(), wait, func(ctx context.Context, local taplinev1.LocalServiceClient) error {
				asked, err := askedFor(ctx, cmd.ErrOrStderr(), local)
				if err != nil {
					return err
				}
				return enterPIN(cmd, local, asked)
			})
		},
	}
	cmd.Flags().DurationVar(&wait, "wait", time.Minute, "how long to wait for a tap that needs a PIN")
	return cmd
}

// askedFor waits until the station asks for a PIN.
func askedFor(ctx context.Context, says io.Writer, local taplinev1.LocalServiceClient) (*taplinev1.Notice, error) {
	watch, err := local.WatchPresence(ctx, &taplinev1.WatchPresenceRequest{})
	if err != nil {
		return nil, localFault(err)
	}
	for first := true; ; first = false {
		change, err := watch.Recv()
		switch {
		case wire.KindOf(err) == wire.Deadline, errors.Is(err, context.DeadlineExceeded):
			return nil, osservice.Fault(osservice.Refused, errors.New("no tap waits for a PIN"), "tap your badge while this command runs; --wait says for how long it does")
		case err != nil:
			return nil, localFault(err)
		case change.GetNotice().GetKind() == taplinev1.NoticeKind_NOTICE_KIND_PIN_NEEDED:
			return change.GetNotice(), nil
		case first:
			_, _ = fmt.Fprintln(says, "tap your badge")
		}
	}
}

// enterPIN asks for the PIN until it is right, the tap waits no more, or nobody is there to be asked again.
func enterPIN(cmd *cobra.Command, local taplinev1.LocalServiceClient, asked *taplinev1.Notice) error {
	in := bufio.NewReader(cmd.InOrStdin())
	for {
		typed, again, err := readPIN(cmd, in, asked.GetPerson().GetDisplayName())
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), askWithin)
		r, err := local.EnterPin(ctx, &taplinev1.EnterPinRequest{Session: asked.GetSession(), Pin: typed})
		cancel()
		if wire.KindOf(err) == wire.NotFound {
			return osservice.Fault(osservice.Refused, errors.New("the tap waits no more"), "tap again")
		}
		if err != nil {
			return localFault(err)
		}
		d := r.GetDecision()
		switch {
		case d.GetAllowed():
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s is here\n", asked.GetPerson().GetDisplayName())
			return err
		case d.GetRefusal() == taplinev1.RefusalCause_REFUSAL_CAUSE_PIN_WRONG && again:
			_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "the PIN is wrong")
		default:
			return pinFault(d)
		}
	}
}

// readPIN reads what is typed, without showing it. again says whether somebody is there to be asked again.
func readPIN(cmd *cobra.Command, in *bufio.Reader, name string) (typed string, again bool, err error) {
	if f, ok := cmd.InOrStdin().(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "PIN of %s: ", name)
		b, err := term.ReadPassword(int(f.Fd()))
		_, _ = fmt.Fprintln(cmd.ErrOrStderr())
		typed, again = string(b), true
		if err != nil {
			return "", false, osservice.Fault(osservice.Usage, fmt.Errorf("no PIN was typed: %w", err), "")
		}
	} else {
		typed, err = in.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", false, err
		}
	}
	if typed = strings.TrimSpace(typed); typed == "" {
		return "", false, osservice.Fault(osservice.Usage, errors.New("no PIN was given"), "type it, or give it as one line on standard input")
	}
	return typed, again, nil
}

// pinFault says why a PIN did not open the station.
func pinFault(d *taplinev1.Decision) error {
	switch d.GetRefusal() {
	case taplinev1.RefusalCause_REFUSAL_CAUSE_PIN_WRONG:
		return osservice.Fault(osservice.Refused, errors.New("the PIN is wrong"), "try again while the tap waits")
	case taplinev1.RefusalCause_REFUSAL_CAUSE_PIN_LOCKED:
		return osservice.Fault(osservice.Refused, errors.New("too many wrong PINs"), fmt.Sprintf("wait for %s, then tap again", d.GetRetryAfter().AsDuration()))
	}
	word := strings.ToLower(strings.TrimPrefix(d.GetRefusal().String(), "REFUSAL_CAUSE_"))
	return osservice.Fault(osservice.Refused, fmt.Errorf("refused: %s", strings.ReplaceAll(word, "_", "-")), helpCodeHint(d.GetHelpCode()))
}

func helpCodeHint(code string) string {
	if code == "" {
		return "the station says what is missing"
	}
	return "the help desk can look up the code " + code
}
