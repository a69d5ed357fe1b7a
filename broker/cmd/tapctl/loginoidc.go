package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
	"golang.org/x/oauth2"
	"golang.org/x/sync/errgroup"

	"tapline/installer/osservice"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// loginByIssuer has the issuer say who it is, and trades that.
func (o *options) loginByIssuer(c *cobra.Command, l *loginFlags, dir string) (*taplinev1.OfficerIdentity, error) {
	brokers, trust, err := o.brokerToTrust(l, dir)
	if err != nil {
		return nil, err
	}
	ctx := c.Context()
	how, err := o.howToLogin(ctx, brokers, trust)
	if err != nil {
		return nil, err
	}
	d, err := findDevice(ctx, how, o.timeout, toIssuer(how))
	if err != nil {
		return nil, err
	}
	code, err := d.begin(ctx)
	if err != nil {
		return nil, err
	}
	token, err := waitWith(ctx, c.ErrOrStderr(), d, code)
	if err != nil {
		return nil, err
	}
	req := &taplinev1.LoginRequest{Proof: &taplinev1.LoginRequest_IdToken{IdToken: token}}
	return o.trade(ctx, brokers, trust, dir, req)
}

// brokerToTrust is the broker and how it is known: by the pin, or by the roots of the last login into the same folder. The person is about to show
// who they are, so a broker that nothing vouches for is not asked.
func (o *options) brokerToTrust(l *loginFlags, dir string) ([]string, *tls.Config, error) {
	brokers := addresses(o.broker)
	if l.pin != "" {
		pin, err := wire.ParsePin(l.pin)
		switch {
		case err != nil:
			return nil, nil, osservice.Fault(osservice.Usage, fmt.Errorf("--pin: %w", err), `"tapctl trust --pin" prints it, at the broker's own machine or for anybody who has logged in`)
		case len(brokers) == 0:
			return nil, nil, usage("--pin: name the broker too, with --broker")
		}
		return brokers, wire.PinnedTLS(pin, time.Now), nil
	}
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(filepath.Join(dir, rootsFile))
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		return nil, nil, usage(`the first login to a broker needs --broker HOST:PORT and --pin PIN, which "tapctl trust --pin" prints there`)
	}
	if len(brokers) == 0 {
		b, err := os.ReadFile(filepath.Join(dir, brokerFile))
		if brokers = addresses(string(b)); err != nil || len(brokers) == 0 {
			return nil, nil, identityFault(dir, errors.Join(err, errors.New("broker names no address")))
		}
	}
	nobody := func() (tls.Certificate, bool) { return tls.Certificate{}, false }
	return brokers, wire.ClientTLS(nobody, func() *x509.CertPool { return roots }, time.Now), nil
}

// howToLogin asks the broker for its issuer.
func (o *options) howToLogin(ctx context.Context, brokers []string, trust *tls.Config) (*taplinev1.GetLoginResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	address, conn, err := reach(ctx, brokers, trust, o.timeout)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	r, err := clientOf(conn).officers.GetLogin(ctx, &taplinev1.GetLoginRequest{})
	if err != nil {
		return nil, explain(err, address)
	}
	if r.GetIssuer() == "" {
		return nil, osservice.Fault(osservice.Refused, fmt.Errorf("broker %s has no OIDC issuer: it takes invitations alone", address),
			`ask its administrator for an invitation (tapctl admin invite), or to set "oidc" in its configuration`)
	}
	return r, nil
}

// waitWith tells the person what to do and waits until they have done it. On a terminal a line says how long there is still.
func waitWith(ctx context.Context, w io.Writer, d *device, a *oauth2.DeviceAuthResponse) (string, error) {
	fmt.Fprintf(w, "To show who you are, open this page on any device that has a browser:\n\n    %s\n\nand enter this code:\n\n    %s\n\n", clean(a.VerificationURI), clean(a.UserCode))
	if a.VerificationURIComplete != "" {
		fmt.Fprintf(w, "This address has the code in it; compare them before you confirm:\n\n    %s\n\n", clean(a.VerificationURIComplete))
	}
	fmt.Fprintf(w, "Waiting until %s ...\n", a.Expiry.Local().Format("15:04:05"))
	live := false
	if f, ok := w.(*os.File); ok {
		live = isatty.IsTerminal(f.Fd())
	}
	var token string
	g, ctx := errgroup.WithContext(ctx)
	done, stop := context.WithCancel(ctx)
	troubles := make(chan string, 1)
	g.Go(func() (err error) {
		defer stop()
		token, err = d.wait(ctx, a, func(s string) {
			select {
			case troubles <- s:
			default:
			}
		})
		return err
	})
	g.Go(func() error {
		tellWaiting(done, w, a.Expiry, troubles, live)
		return nil
	})
	return token, g.Wait()
}

// tellWaiting prints how long there is still, and each trouble, until ctx ends.
func tellWaiting(ctx context.Context, w io.Writer, until time.Time, troubles <-chan string, live bool) {
	tick := time.NewTicker(stillWaiting)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			if live {
				fmt.Fprint(w, "\r\x1b[K")
			}
			return
		case s := <-troubles:
			fmt.Fprintln(w, s)
		case <-tick.C:
			if live {
				fmt.Fprintf(w, "\r\x1b[K%s left", time.Until(until).Truncate(time.Second))
			}
		}
	}
}
