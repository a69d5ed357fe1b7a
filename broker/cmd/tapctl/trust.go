package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"tapline/installer/osservice"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

func trustCommand(o *options) *cobra.Command {
	var pin bool
	cmd := &cobra.Command{
		Use: "trust", Short: "Print the broker's evidence key, for an auditor to pin, or the pin of its root", Args: cobra.ExactArgs(0),
		Long: `Prints the public key with which the broker signs receipts and statements, one a
line, newest last. Give it to auditors by another way than the evidence: with it
they check evidence that anybody may have handed them.

With --pin it prints instead the pin of the root that the broker shows: what
"tapctl login --oidc" needs the first time. It is no secret, but whoever gets it
must be sure that it comes from you.`,
		Example: `  tapaudit verify --trust-key "$(tapctl trust)" evidence/
  tapctl trust --pin`,
		RunE: func(c *cobra.Command, _ []string) error {
			if pin {
				return o.printPin(c)
			}
			return o.talk(c.Context(), func(ctx context.Context, b client) error {
				r, err := b.audit.GetTrust(ctx, &taplinev1.GetTrustRequest{})
				if err != nil {
					return err
				}
				t, err := record.ParseTrust(r.GetTrust())
				if err != nil {
					return fmt.Errorf("answer: %w", err)
				}
				if o.output == "json" {
					_, err = fmt.Fprintf(c.OutOrStdout(), "%s\n", r.GetTrust())
					return err
				}
				for _, k := range t.Keys {
					if _, err := fmt.Fprintln(c.OutOrStdout(), k.Key); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&pin, "pin", false, "print the pin of the broker's root instead")
	return cmd
}

// printPin prints the pin of the root that the broker shows, after it was checked by the roots that the identity trusts. It is asked of the broker
// because the folder may be older than the last change of the root.
func (o *options) printPin(c *cobra.Command) error {
	ctx, cancel := context.WithTimeout(c.Context(), o.timeout)
	defer cancel()
	h, err := o.hold()
	if err != nil {
		return err
	}
	shown := make(chan wire.Pin, 1)
	t := wire.ClientTLS(func() (tls.Certificate, bool) { return h.cert, true }, func() *x509.CertPool { return h.roots }, time.Now)
	check := t.VerifyConnection
	t.VerifyConnection = func(cs tls.ConnectionState) error {
		if err := check(cs); err != nil {
			return err
		}
		for _, cert := range cs.PeerCertificates {
			if _, err := cert.Verify(x509.VerifyOptions{Roots: h.roots}); err == nil && cert.CheckSignatureFrom(cert) == nil {
				select {
				case shown <- wire.PinOf(cert):
				default:
				}
			}
		}
		return nil
	}
	address, conn, err := reach(ctx, h.brokers, t, o.timeout)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := clientOf(conn).officers.GetLogin(ctx, &taplinev1.GetLoginRequest{}); err != nil {
		return explain(err, address)
	}
	select {
	case p := <-shown:
		if o.output == "json" {
			_, err = fmt.Fprintf(c.OutOrStdout(), "{\"pin\": %q}\n", p)
			return err
		}
		_, err = fmt.Fprintln(c.OutOrStdout(), p)
		return err
	default:
		return osservice.Fault(osservice.Failure, fmt.Errorf("broker %s shows no root", address), `"tapctl ca status" prints the pins of all roots`)
	}
}
