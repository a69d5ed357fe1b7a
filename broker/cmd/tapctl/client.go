package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"tapline/installer/osservice"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// client is a connection to the broker.
type client struct {
	admin    taplinev1.AdminServiceClient
	audit    taplinev1.AuditServiceClient
	officers taplinev1.OfficerServiceClient
}

func clientOf(conn *grpc.ClientConn) client {
	return client{taplinev1.NewAdminServiceClient(conn), taplinev1.NewAuditServiceClient(conn), taplinev1.NewOfficerServiceClient(conn)}
}

// talk runs do with a connection and a deadline, and turns what goes wrong into an error with a hint.
func (o *options) talk(ctx context.Context, do func(context.Context, client) error) error {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	return o.stream(ctx, do)
}

// stream is talk without a deadline: for exports, which take as long as they take.
func (o *options) stream(ctx context.Context, do func(context.Context, client) error) error {
	h, err := o.hold()
	if err != nil {
		return err
	}
	if late := h.expiry(time.Now()); late != "" {
		fmt.Fprintln(o.errs, late)
	}
	address, conn, err := reach(ctx, h.brokers, wire.ClientTLS(
		func() (tls.Certificate, bool) { return h.cert, true }, func() *x509.CertPool { return h.roots }, time.Now), o.timeout)
	if err != nil {
		return err
	}
	defer conn.Close()
	return explain(do(ctx, clientOf(conn)), address)
}

// reach makes a connection to the first of several brokers that takes one. With one broker, and with the last, it comes up with the first call.
func reach(ctx context.Context, brokers []string, c *tls.Config, patience time.Duration) (string, *grpc.ClientConn, error) {
	each := min(patience/time.Duration(len(brokers)+1), 3*time.Second)
	for i, address := range brokers {
		conn, err := wire.Dial(address, c, grpc.WithChainUnaryInterceptor(nameFaults), grpc.WithChainStreamInterceptor(nameStreamFaults))
		if err != nil || i == len(brokers)-1 || answers(ctx, conn, each) {
			return address, conn, err
		}
		if err := conn.Close(); err != nil {
			return address, nil, err
		}
	}
	return "", nil, errors.New("no broker is named")
}

// nameFaults adds to what the broker refuses the name by which its log knows the call.
func nameFaults(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	var trailer metadata.MD
	err := invoke(ctx, method, req, reply, conn, append(opts, grpc.Trailer(&trailer))...)
	if id := trailer.Get(wire.RequestHeader); err != nil && len(id) > 0 {
		return &namedFault{err, id[0]}
	}
	return err
}

// nameStreamFaults is nameFaults for exports and what else comes as a stream.
func nameStreamFaults(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := open(ctx, desc, conn, method, opts...)
	if err != nil {
		return nil, err
	}
	return &namingStream{s}, nil
}

type namingStream struct{ grpc.ClientStream }

// RecvMsg names the error that ends the stream, but not its regular end.
func (s *namingStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	if id := s.Trailer().Get(wire.RequestHeader); len(id) > 0 {
		return &namedFault{err, id[0]}
	}
	return err
}

// namedFault is an error of a call that has a name.
type namedFault struct {
	error
	request string
}

// Unwrap is the error alone, and GRPCStatus what the broker said.
func (f *namedFault) Unwrap() error { return f.error }

// GRPCStatus implements what package status asks of an error.
func (f *namedFault) GRPCStatus() *status.Status { return status.Convert(f.error) }

// answers waits until a connection is up, fails, or the time is over.
func answers(ctx context.Context, conn *grpc.ClientConn, patience time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn.Connect()
	for {
		switch state := conn.GetState(); state {
		case connectivity.Ready:
			return true
		case connectivity.TransientFailure, connectivity.Shutdown:
			return false
		default:
			if !conn.WaitForStateChange(ctx, state) {
				return false
			}
		}
	}
}

// explain gives an answer of the broker its exit code and hint, with the name by which its log knows the call.
func explain(err error, address string) error {
	return nameHint(explainKind(err, address), err)
}

// nameHint adds that name to the hint of what a person is told of err.
func nameHint(told, err error) error {
	named := (*namedFault)(nil)
	if told == nil || !errors.As(err, &named) || osservice.HintOf(told) == "" {
		return told
	}
	return osservice.Fault(osservice.CodeOf(told), errors.New(told.Error()), osservice.HintOf(told)+" (request "+named.request+" in the broker's log)")
}

// explainKind goes by the kind alone.
func explainKind(err error, address string) error {
	if err == nil || osservice.CodeOf(err) != osservice.Failure {
		return err
	}
	said := errors.New(message(err))
	switch wire.KindOf(err) {
	case wire.Unavailable, wire.Deadline:
		return osservice.Fault(osservice.Unavailable, fmt.Errorf("broker %s does not answer: %w", address, said),
			"is it running (tapbroker service status), and does the address match?")
	case wire.Unauthenticated, wire.Denied:
		if strings.Contains(said.Error(), "revoked") {
			return osservice.Fault(osservice.NotPermitted, said, `whoever administers may invite you again (tapctl admin invite); then "tapctl login"`)
		}
		return osservice.Fault(osservice.NotPermitted, said, `"tapctl whoami" says who you are here and what that role opens`)
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
