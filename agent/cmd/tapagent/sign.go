package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"tapline/installer/osservice"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

func (c *cli) signCommand() *cobra.Command {
	var file, out string
	req := &taplinev1.SignActionRequest{}
	cmd := &cobra.Command{
		Use:   "sign --file FILE --meaning WORD",
		Short: "Sign for a file as the person at this station",
		Long: `Records an electronic signature of the person at this station over a file, as a
program would by the local API. The signature has two components: the badge that was
tapped, and the PIN, which is typed here, or given as one line on standard input.
The first signature of a session wants the badge to have been seen a moment ago.

What comes out is the signed record: a DSSE envelope in JSON, which "tapaudit" and
plain openssl check. The file itself goes nowhere, only its SHA-256.`,
		Example: "  tapagent sign --file batch-4711.pdf --meaning released --application mes\n  tapagent sign --file batch-4711.pdf --meaning reviewed --output review.dsse.json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			digest, err := digestOf(file)
			if err != nil {
				return err
			}
			req.Digest = digest
			return c.sign(cmd, req, out)
		},
	}
	f := cmd.Flags()
	f.StringVar(&file, "file", "", "what is signed for")
	f.StringVar(&req.Meaning, "meaning", "", "what the signature means, such as reviewed, approved, released")
	f.StringVar(&req.Application, "application", "tapagent", "the application that asks")
	f.StringVar(&req.Name, "name", "sign-file", "what was done in it")
	f.StringVar(&out, "output", "", "where the record goes; default: standard output")
	for _, name := range []string{"file", "meaning"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err)
		}
	}
	return cmd
}

func digestOf(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, osservice.Fault(osservice.Usage, err, "give the file that is signed for with --file")
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return h.Sum(nil), nil
}

// sign shows who signs for what, asks for the PIN, and writes the record.
func (c *cli) sign(cmd *cobra.Command, req *taplinev1.SignActionRequest, out string) error {
	var who *taplinev1.Presence
	err := c.ask(cmd.Context(), askWithin, func(ctx context.Context, local taplinev1.LocalServiceClient) error {
		r, err := local.WhoIsHere(ctx, &taplinev1.WhoIsHereRequest{})
		who = r.GetPresence()
		return localFault(err)
	})
	if err != nil {
		return err
	}
	if who.GetSession() == "" {
		return osservice.Fault(osservice.Refused, errors.New("nobody is here"), "tap your badge first")
	}
	req.Session = who.GetSession()
	if req.Pin, _, err = readPIN(cmd, bufio.NewReader(cmd.InOrStdin()), who.GetPerson().GetDisplayName()); err != nil {
		return err
	}
	return c.ask(cmd.Context(), askWithin, func(ctx context.Context, local taplinev1.LocalServiceClient) error {
		r, err := local.SignAction(ctx, req)
		if err != nil {
			return signFault(err)
		}
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "signed by %s, %s, %s\n", r.GetSigner().GetDisplayName(), r.GetSignedAt().AsTime().Local().Format(time.RFC3339), r.GetMeaning())
		text := append(r.GetEnvelope(), '\n')
		if out == "" {
			_, err = cmd.OutOrStdout().Write(text)
			return err
		}
		return os.WriteFile(out, text, 0o600)
	})
}

// signFault says what an error of a signature means.
func signFault(err error) error {
	switch wire.KindOf(err) {
	case wire.Precondition:
		return osservice.Fault(osservice.Refused, err, "")
	case wire.Denied:
		return osservice.Fault(osservice.Refused, err, "the PIN is that of the person who is here")
	case wire.Busy:
		return osservice.Fault(osservice.Refused, err, "")
	case wire.Unavailable:
		return osservice.Fault(osservice.Unavailable, err, "\"tapagent status\" says how the journal is; sign again when it can be written")
	case wire.Invalid:
		return osservice.Fault(osservice.Usage, err, "")
	}
	return localFault(err)
}
