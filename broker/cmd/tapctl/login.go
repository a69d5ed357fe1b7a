package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tapline/installer/osservice"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// loginFlags is what a login is made of.
type loginFlags struct {
	token string
	oidc  bool
	pin   string
}

func loginCommand(o *options) *cobra.Command {
	l := &loginFlags{}
	c := &cobra.Command{
		Use: "login", Short: "Get an identity of your own, by an invitation or your OIDC provider", Args: cobra.ExactArgs(0),
		Long: `Makes a key on this machine and has the broker certify it. The identity goes into
your configuration folder, readable by you alone, as a context that is used from
then on.

With an invitation ("tapctl admin invite") everything is in its word; without
--token it is asked for, so that it stays out of the shell's history.

With --oidc you show who you are at your plant's OIDC provider, in a browser on any
device (RFC 8628), and the groups that you are in there say which role you have. The
identity lasts a shift. The first time, --broker says which broker and --pin how to
know it ("tapctl trust --pin" prints it); after that the context knows both.`,
		Example: `  tapctl login
  tapctl login --token - < invitation
  tapctl login --oidc --broker broker.plant.example:8443 --pin 5f2c...e1
  tapctl login --oidc`,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case l.oidc && l.token != "":
				return usage("--oidc, --token: one of them")
			case l.pin != "" && !l.oidc:
				return usage("--pin goes with --oidc: an invitation names the broker and its pin itself")
			}
			name := fallback(o.context, fallback(currentContext(), "default"))
			dir := filepath.Join(contextsDir(), name)
			switch {
			case o.identity != "":
				dir, name = filepath.Clean(o.identity), ""
			case contextsDir() == "":
				return osservice.Fault(osservice.Config, errors.New("this system names no configuration folder"), "name a folder with --identity")
			}
			how := o.loginByInvitation
			if l.oidc {
				how = o.loginByIssuer
			}
			id, err := how(c, l, dir)
			if err != nil {
				return err
			}
			if name != "" {
				if err := os.WriteFile(currentFile(), []byte(name+"\n"), 0o600); err != nil {
					return fmt.Errorf("choose context: %w", err)
				}
			}
			return show(c, o, id.GetOfficer(), "you are %s, %s, until %s; the identity is in %s", id.GetOfficer().GetName(), id.GetOfficer().GetRole(),
				when(id.GetExpiresAt()), dir)
		},
	}
	f := c.Flags()
	f.StringVar(&l.token, "token", "", "the invitation's word; - reads it from standard input")
	f.BoolVar(&l.oidc, "oidc", false, "log in through the broker's OIDC provider")
	f.StringVar(&l.pin, "pin", "", "pin of the broker's root, 64 hex digits; needed with --oidc once for each broker")
	return c
}

// word asks for the invitation where it was not given.
func (o *options) word(c *cobra.Command, given string) (string, error) {
	if given != "" && given != "-" {
		return given, nil
	}
	if f, ok := o.in.(*os.File); ok && given == "" && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(c.ErrOrStderr(), "invitation: ")
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(c.ErrOrStderr())
		return string(b), err
	}
	line, err := bufio.NewReader(o.in).ReadString('\n')
	if strings.TrimSpace(line) == "" {
		return "", usage("no invitation: give it with --token, or on standard input")
	}
	if err != nil && strings.TrimSpace(line) == "" {
		return "", err
	}
	return line, nil
}

func (o *options) loginByInvitation(c *cobra.Command, l *loginFlags, dir string) (*taplinev1.OfficerIdentity, error) {
	text, err := o.word(c, l.token)
	if err != nil {
		return nil, err
	}
	i, err := wire.ParseInvitation(text)
	if err != nil {
		return nil, osservice.Fault(osservice.Usage, err, `paste the whole word that "tapctl admin invite" printed`)
	}
	brokers := i.Brokers
	if given := addresses(o.broker); len(given) > 0 {
		brokers = given
	}
	req := &taplinev1.LoginRequest{Proof: &taplinev1.LoginRequest_Invitation{Invitation: i.Secret}}
	return o.trade(c.Context(), brokers, wire.PinnedTLS(i.Root, time.Now), dir, req)
}

// trade makes the key, has it certified, and keeps what comes of it.
func (o *options) trade(ctx context.Context, brokers []string, c *tls.Config, dir string, req *taplinev1.LoginRequest) (*taplinev1.OfficerIdentity, error) {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	key, err := pending(dir)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	if req.Csr, err = request(key); err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	address, conn, err := reach(ctx, brokers, c, o.timeout)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	r, err := clientOf(conn).officers.Login(ctx, req)
	if err != nil {
		if refusedForGood(err) {
			_ = os.Remove(pendingFile(dir)) // a key that is of no use; one that stays does no harm
		}
		return nil, nameHint(explainLogin(err, address, req), err)
	}
	return r.GetIdentity(), keep(dir, r.GetIdentity(), key)
}

// refusedForGood reports whether the broker has answered, and would give the same key the same answer. Any other answer may be lost, or change.
func refusedForGood(err error) bool {
	switch wire.KindOf(err) {
	case wire.Unauthenticated, wire.Denied, wire.Invalid, wire.NotFound, wire.Exists, wire.Precondition, wire.Stale:
		return true
	}
	return false
}

// explainLogin gives the refusals of a login hints of their own.
func explainLogin(err error, address string, req *taplinev1.LoginRequest) error {
	said := errors.New(message(err))
	switch wire.KindOf(err) {
	case wire.Unauthenticated:
		if req.GetIdToken() != "" {
			return osservice.Fault(osservice.NotPermitted, said, "log in again; if that does not help, the broker's configuration and its issuer do not fit")
		}
		return osservice.Fault(osservice.NotPermitted, said, "an invitation works once and for a day; ask whoever sent it for a new one")
	case wire.Denied:
		return osservice.Fault(osservice.NotPermitted, said, "ask an administrator of the broker")
	}
	return explainKind(err, address)
}
