package openbao

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"

	"github.com/openbao/openbao/api/v2"
)

// What goes wrong. Errors of this package match one of them.
var (
	// ErrAway says that the vault does not work for anybody now: dead, slow, sealed, failing, or it does not let the broker in.
	ErrAway = errors.New("the vault is away")
	// ErrDenied says that the broker may not do this there.
	ErrDenied = errors.New("the vault does not allow it")
	// ErrMissing says that there is nothing at the path.
	ErrMissing = errors.New("the vault has no such secret")

	errSlow     = errors.New("too slow")
	errRedirect = errors.New("redirect")
	errTaken    = errors.New("there is one already")
)

func away(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrAway, fmt.Errorf(format, args...))
}

// fault says what went wrong in our own words: texts of the library hold what the server sent, which may be anything.
func (c *Client) fault(ctx context.Context, err error) error {
	var status *api.ResponseError
	switch {
	case err == nil:
		return nil
	case errors.Is(context.Cause(ctx), errSlow):
		return away("no answer within %s", c.cfg.Timeout)
	case ctx.Err() != nil: // the caller's own time; it says nothing of the vault
		return context.Cause(ctx)
	case errors.Is(err, errRedirect):
		return away("it sends us to another server: name the address of the one that answers")
	case errors.Is(err, api.ErrSecretNotFound):
		return ErrMissing
	case errors.As(err, &status):
		return ofStatus(status.StatusCode)
	}
	return ofLine(err)
}

func ofStatus(code int) error {
	switch {
	case code == http.StatusForbidden || code == http.StatusUnauthorized:
		return ErrDenied
	case code == http.StatusNotFound:
		return ErrMissing
	case code == http.StatusServiceUnavailable:
		return away("it is sealed, or not ready (503)")
	case code == http.StatusTooManyRequests:
		return away("it has too much to do (429)")
	case code >= 500:
		return away("it fails (%d)", code)
	}
	return fmt.Errorf("%w: answer %d", errBad, code)
}

// errBad says that the vault does not understand, or does not like, what it was asked.
var errBad = errors.New("the vault refuses the request")

// ofLine tells faults of the connection, of which only what we know to be harmless is shown.
func ofLine(err error) error {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verify *tls.CertificateVerificationError
	var dns *net.DNSError
	var op *net.OpError
	var no syscall.Errno
	switch {
	case errors.As(err, &unknown):
		return away("its certificate is by nobody whom we trust: see ca_file")
	case errors.As(err, &host):
		return away("its certificate is for another name than the address has")
	case errors.As(err, &invalid), errors.As(err, &verify):
		return away("its certificate is not good")
	case errors.As(err, &dns):
		return away("its name is not found")
	case errors.As(err, &no):
		return away("no connection: %w", no)
	case errors.As(err, &op):
		return away("no connection (%s)", op.Op)
	}
	return away("it does not answer as OpenBao does")
}
