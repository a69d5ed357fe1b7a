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

// login is what a login is made of.
type login struct {
	token string
}

func loginCommand(o *options) *cobra.Command {
	l := &login{}
	c := &cobra.Command{
		Use: "login", Short: "Get an identity of your own, by an invitation", Args: cobra.ExactArgs(0),
		Long: `Makes a key on this machine and has the broker certify it. The identity goes into
your configuration folder, readable by you alone, as a context that is used from
then on.

With an invitation ("tapctl admin invite") everything is in its word; without
--token it is asked for, so that it stays out of the shell's history.`,
		Example: `  tapctl login
  tapctl login --token - < invitation`,
		RunE: func(c *cobra.Command, _ []string) error {
			name := fallback(o.context, fallback(currentContext(), "default"))
			dir := filepath.Join(contextsDir(), name)
			switch {
			case o.identity != "":
				dir, name = filepath.Clean(o.identity), ""
			case contextsDir() == "":
				return osservice.Fault(osservice.Config, errors.New("this system names no configuration folder"), "name a folder with --identity")
			}
			id, err := o.loginByInvitation(c, l, dir)
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

func (o *options) loginByInvitation(c *cobra.Command, l *login, dir string) (*taplinev1.OfficerIdentity, error) {
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
		return nil, explainLogin(err, address)
	}
	return r.GetIdentity(), keep(dir, r.GetIdentity(), key)
}

// explainLogin gives the refusals of a login hints of their own.
func explainLogin(err error, address string) error {
	said := errors.New(message(err))
	switch wire.KindOf(err) {
	case wire.Unauthenticated:
		return osservice.Fault(osservice.NotPermitted, said, "an invitation works once and for a day; ask whoever sent it for a new one")
	case wire.Denied:
		return osservice.Fault(osservice.NotPermitted, said, "ask an administrator of the broker")
	}
	return explain(err, address)
}
