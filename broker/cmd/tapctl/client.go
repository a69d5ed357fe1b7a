package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"tapline/installer/osservice"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// client is a connection to the broker.
type client struct {
	admin taplinev1.AdminServiceClient
	audit taplinev1.AuditServiceClient
}

// talk runs do with a connection and a deadline, and turns what goes wrong into an error with a hint.
func (o *options) talk(ctx context.Context, do func(context.Context, client) error) error {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	return o.stream(ctx, do)
}

// stream is talk without a deadline: for exports, which take as long as they take.
func (o *options) stream(ctx context.Context, do func(context.Context, client) error) error {
	address, conn, err := o.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	return explain(do(ctx, client{taplinev1.NewAdminServiceClient(conn), taplinev1.NewAuditServiceClient(conn)}), address)
}

// dial reads the identity folder and makes a connection, which comes up with the first call.
func (o *options) dial() (string, *grpc.ClientConn, error) {
	cert, err := tls.LoadX509KeyPair(filepath.Join(o.identity, "admin.crt"), filepath.Join(o.identity, "admin.key"))
	if err != nil {
		return "", nil, identityFault(o.identity, err)
	}
	pem, err := os.ReadFile(filepath.Join(o.identity, "roots.pem"))
	if err != nil {
		return "", nil, identityFault(o.identity, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return "", nil, identityFault(o.identity, errors.New("roots.pem holds no certificate"))
	}
	address := o.broker
	if address == "" {
		b, err := os.ReadFile(filepath.Join(o.identity, "broker"))
		if err != nil {
			return "", nil, identityFault(o.identity, err)
		}
		address = strings.TrimSpace(string(b))
	}
	conn, err := wire.Dial(address, wire.ClientTLS(
		func() (tls.Certificate, bool) { return cert, true }, func() *x509.CertPool { return roots }, time.Now))
	return address, conn, err
}

func identityFault(dir string, err error) error {
	code := osservice.Config
	if errors.Is(err, os.ErrPermission) {
		code = osservice.NotPermitted
	}
	return osservice.Fault(code, fmt.Errorf("read identity folder %s: %w", dir, err),
		"name the folder that tapbroker made (DATA/admin) with --identity or TAPCTL_IDENTITY; it is readable by its owner alone")
}

// explain gives an answer of the broker its exit code and hint.
func explain(err error, address string) error {
	if err == nil || osservice.CodeOf(err) != osservice.Failure {
		return err
	}
	said := errors.New(message(err))
	switch wire.KindOf(err) {
	case wire.Unavailable, wire.Deadline:
		return osservice.Fault(osservice.Unavailable, fmt.Errorf("broker %s does not answer: %w", address, said),
			"is it running (tapbroker service status), and does the address match?")
	case wire.Unauthenticated, wire.Denied:
		return osservice.Fault(osservice.NotPermitted, said, "this identity may not do that; use an administrator's")
	case wire.NotFound:
		return osservice.Fault(osservice.Refused, said, "list what is there with the noun's list command")
	case wire.Invalid:
		return osservice.Fault(osservice.Refused, said, "nothing was changed; correct the field and try again")
	case wire.Unsupported:
		return osservice.Fault(osservice.Refused, said, "this broker is older than this tapctl, or the part is not built yet")
	case wire.Internal:
		if _, remote := status.FromError(err); !remote {
			return err // a fault on this side: a file, the terminal
		}
	case wire.Exists, wire.Stale, wire.Precondition, wire.Busy:
		return osservice.Fault(osservice.Refused, said, "look at the present state and try again")
	}
	return osservice.Fault(osservice.Failure, said, "the broker's log says more")
}
