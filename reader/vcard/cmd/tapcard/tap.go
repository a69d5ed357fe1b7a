package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tapline/reader/vcard"
)

// options are the flags of the command.
type options struct {
	host string
	port int
	uid  string
	kind string
	hold time.Duration
	wait time.Duration
}

func command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "tapcard --uid HEX [flags]",
		Short: "Tap a virtual badge on a virtual reader",
		Long: `tapcard lays a virtual badge on a virtual PC/SC reader (vsmartcard-vpcd), waits until its number has been
read, holds it there for a while and takes it away.

A badge number is 4, 7 or 10 bytes in hex; colons and spaces between the bytes are fine.`,
		Example: `  # a short tap on the first virtual reader
  tapcard --port 40000 --uid 04A1B2C3D4E5F6

  # leave the badge in the reader for half a minute
  tapcard --uid 04A1B2C3D4E5F6 --hold 30s

  # a chip card that has no number, and a card laid upside down
  tapcard --kind contact
  tapcard --kind mute`,
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			card, err := o.card()
			if err != nil {
				return err
			}
			return o.tap(cmd.Context(), card)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.uid, "uid", "", "badge number in hex, for example 04A1B2C3D4E5F6")
	f.StringVar(&o.kind, "kind", "desfire", "what to tap: desfire, classic, contact (has no number) or mute (never answers)")
	f.IntVar(&o.port, "port", 40000, "TCP port of the virtual reader")
	f.StringVar(&o.host, "host", "127.0.0.1", "host of the virtual reader")
	f.DurationVar(&o.hold, "hold", 300*time.Millisecond, "how long the badge stays after it was read")
	f.DurationVar(&o.wait, "wait", 3*time.Second, "how long to wait for somebody to read it")
	return cmd
}

func (o options) card() (vcard.Card, error) {
	switch o.kind {
	case "contact":
		return vcard.Contact(), nil
	case "mute":
		return vcard.Muted(), nil
	}
	uid, err := hex.DecodeString(strings.NewReplacer(":", "", " ", "").Replace(o.uid))
	if err != nil || len(uid) != 4 && len(uid) != 7 && len(uid) != 10 {
		return vcard.Card{}, errors.New("--uid is not 4, 7 or 10 bytes of hex\nhint: try --uid 04A1B2C3D4E5F6")
	}
	switch o.kind {
	case "desfire":
		return vcard.DESFire(uid), nil
	case "classic":
		return vcard.Classic1K(uid), nil
	}
	return vcard.Card{}, fmt.Errorf("there is no card kind %q\nhint: --kind is one of desfire, classic, contact, mute", o.kind)
}

func (o options) tap(ctx context.Context, card vcard.Card) error {
	in, err := vcard.Insert(ctx, net.JoinHostPort(o.host, strconv.Itoa(o.port)), card)
	if err != nil {
		return fmt.Errorf("%w\nhint: is the virtual reader running there? scripts/demo --keep starts one and names its port", err)
	}
	unread := o.await(ctx, in, len(card.UID) > 0)
	return errors.Join(unread, in.Remove())
}

// await waits for the badge to be read, then for the hold time. Nobody asks a mute card anything, so it just lies there.
func (o options) await(ctx context.Context, in *vcard.Inserted, readable bool) error {
	if readable {
		select {
		case <-in.Read():
		case <-in.Gone():
			return errors.New("the reader let go of the badge before it was read")
		case <-ctx.Done():
			return nil
		case <-time.After(o.wait):
			return fmt.Errorf("nobody read the badge within %s\nhint: is a program (the agent) watching this reader, and no other badge on it?", o.wait)
		}
	} else {
		o.hold += o.wait
	}
	select {
	case <-ctx.Done():
	case <-in.Gone():
	case <-time.After(o.hold):
	}
	return nil
}
