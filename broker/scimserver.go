package broker

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"tapline/broker/scim"
	"tapline/installer/osservice"
)

// ScimConfig says how SCIM clients reach the broker, and how users become people.
type ScimConfig struct {
	// Certificate and Key are PEM files that clients trust; read again when they change. Without them the broker shows its own certificate.
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
	// PersonID is where a person's ID comes from: user-name, external-id or employee-number. Default: user-name.
	PersonID string `yaml:"person_id"`
	// Groups gives roles by names of groups. Without it a group's name is the role.
	Groups map[string]string `yaml:"groups"`
}

// mapping is how users become people.
func (c ScimConfig) mapping() scim.Config {
	return scim.Config{PersonID: cmp.Or(c.PersonID, scim.ByUserName), Groups: c.Groups}
}

// serveScim serves SCIM over HTTPS until ctx ends.
func (b *Broker) serveScim(ctx context.Context) error {
	handler, err := scim.New(b.admin.Roster, b.cfg.Scim.mapping(), b.log)
	if err != nil {
		return osservice.Fault(osservice.Config, err, "correct scim in the configuration")
	}
	if _, err := b.scimCertificate(nil); err != nil {
		return osservice.Fault(osservice.Config, fmt.Errorf("scim: %w", err), "scim.certificate and scim.key name PEM files that the broker can read")
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", b.cfg.ScimListen)
	if err != nil {
		return osservice.Fault(osservice.Config, fmt.Errorf("listen on %s: %w", b.cfg.ScimListen, err), "set scim_listen to a free port, or to nothing")
	}
	errs, err := zap.NewStdLogAt(b.log, zap.DebugLevel)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	mux := http.NewServeMux()
	mux.Handle("/scim/v2/", http.StripPrefix("/scim", handler))
	s := &http.Server{
		Handler: mux, TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: b.scimCertificate}, ErrorLog: errs,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, WriteTimeout: time.Minute, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}
	var g errgroup.Group
	g.Go(func() error {
		<-ctx.Done()
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainFor)
		defer cancel()
		return errors.Join(s.Shutdown(stopping), s.Close())
	})
	b.log.Info("SCIM serves", zap.String("listen", l.Addr().String()))
	if err := s.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	if err := g.Wait(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// scimCertificate is the certificate that SCIM clients see. Files are read for each connection, so that a renewed one needs no restart; clients are few.
func (b *Broker) scimCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if b.cfg.Scim.Certificate == "" {
		c, err := b.own.Get()
		return &c, err
	}
	c, err := tls.LoadX509KeyPair(b.cfg.Scim.Certificate, b.cfg.Scim.Key)
	return &c, err
}
