// Package gate says who may call what. It stands before every service of the broker.
//
// The server asks it on each call, before the handler: which role the method is for, and whether the registry still believes the caller's
// certificate. A stream asks again as it goes on, so that a station that is revoked is refused without a list of revoked certificates. What comes
// through is looked at once: text in it must be text. The package decides nothing about people or policy, and knows a caller only by the certificate
// that package wire has verified.
package gate

import (
	"context"
	"crypto/x509"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/identity"
	"tapline/proto/record"
	"tapline/proto/wire"
)

// Gate refuses callers.
type Gate struct {
	Registry *identity.Registry
}

// Check says whether the caller of ctx may call a method now, and what their certificate is good for.
func (g *Gate) Check(ctx context.Context, method string) (identity.Verdict, error) {
	if _, open := rolesOf(method); open {
		return identity.Verdict{}, nil
	}
	who, cert, ok := wire.Caller(ctx)
	if !ok {
		return identity.Verdict{}, wire.E(wire.Unauthenticated, "a client certificate is needed; this connection shows none")
	}
	return g.Admit(ctx, method, who, cert)
}

// Admit is Check for a caller whose certificate package wire has verified.
func (g *Gate) Admit(ctx context.Context, method string, who wire.Subject, cert *x509.Certificate) (identity.Verdict, error) {
	roles, open := rolesOf(method)
	if open {
		return identity.Verdict{}, nil
	}
	if !slices.Contains(roles, who.Role) {
		return identity.Verdict{}, wire.E(wire.Denied, "the role %s does not open %s; it is for %s", who.Role, method, roles)
	}
	v, err := g.Registry.Check(ctx, who, cert)
	if err == nil && v.Station != "" && !v.Newest && method != taplinev1.StationService_Renew_FullMethodName {
		// Renew stays open to it, because that is where a copy of the station is found out.
		err = wire.E(wire.Unauthenticated, "the certificate was superseded by later ones: another copy of the station has renewed")
	}
	return v, err
}

// Unary is the interceptor of single calls.
func (g *Gate) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	v, err := g.Check(ctx, info.FullMethod)
	if err != nil {
		return nil, err
	}
	if err := checkText(req); err != nil {
		return nil, err
	}
	return next(with(ctx, v), req)
}

// Stream is the interceptor of streams.
func (g *Gate) Stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	v, err := g.Check(stream.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	a := &admitted{ServerStream: stream, ctx: with(stream.Context(), v)}
	if v.Station == "" {
		a.still = func() error {
			_, err := g.Check(stream.Context(), info.FullMethod)
			return err
		}
	}
	return next(srv, a)
}

// admitted is a stream whose context holds the verdict.
type admitted struct {
	grpc.ServerStream
	ctx context.Context
	// still, if it is set, says whether the caller may still have what comes: a person who watches records may be revoked meanwhile. Streams of stations
	// are cut by their service, also while nothing is sent.
	still func() error
}

// SendMsg sends, unless the caller was revoked since the stream began. The registry remembers for a second, so this costs little.
func (a *admitted) SendMsg(m any) error {
	if a.still != nil {
		if err := a.still(); err != nil {
			return err
		}
	}
	return a.ServerStream.SendMsg(m)
}

// RecvMsg receives, and refuses what is no text.
func (a *admitted) RecvMsg(m any) error {
	if err := a.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	return checkText(m)
}

// checkText looks at what came, in the one place that all of it passes.
func checkText(req any) error {
	if m, ok := req.(proto.Message); ok {
		return wire.CheckText(m)
	}
	return nil
}

// Context is the stream's, with the verdict.
func (a *admitted) Context() context.Context { return a.ctx }

type verdictKey struct{}

func with(ctx context.Context, v identity.Verdict) context.Context {
	return context.WithValue(ctx, verdictKey{}, v)
}

// Station is the station that calls; empty if the caller is none.
func Station(ctx context.Context) record.StationID {
	v, _ := ctx.Value(verdictKey{}).(identity.Verdict)
	return v.Station
}
