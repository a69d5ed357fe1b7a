package brokertest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"

	"google.golang.org/grpc"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// Direct is the broker without a network: each call makes the checks of a TLS handshake on both sides, with the certificates and the clocks that
// a handshake would use, and then calls the broker. Tests in bubbles of time use it.
type Direct struct {
	Broker *Broker
	// Secure is the client's configuration.
	Secure *tls.Config
	// Address is what the client dialled.
	Address string
}

type callerKey struct{}

type caller struct {
	subject wire.Subject
	leaf    *x509.Certificate
}

// callerOf is who calls, over the network or without.
func callerOf(ctx context.Context) (wire.Subject, *x509.Certificate, bool) {
	if c, ok := ctx.Value(callerKey{}).(caller); ok {
		return c.subject, c.leaf, true
	}
	return wire.Caller(ctx)
}

// shake does what a handshake would and returns the context of the call.
func (d Direct) shake(ctx context.Context) (context.Context, error) {
	var certs []*x509.Certificate
	for _, der := range d.Broker.ca.own.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		certs = append(certs, c)
	}
	host, _, err := net.SplitHostPort(d.Address)
	if err != nil {
		return nil, err
	}
	if err := d.Secure.VerifyConnection(tls.ConnectionState{ServerName: host, PeerCertificates: certs}); err != nil {
		return nil, wire.E(wire.Unavailable, "handshake: %w", err)
	}
	if d.Secure.GetClientCertificate == nil {
		return ctx, nil
	}
	shown, err := d.Secure.GetClientCertificate(&tls.CertificateRequestInfo{})
	if err != nil || len(shown.Certificate) == 0 {
		return ctx, err
	}
	between := x509.NewCertPool()
	between.AddCert(d.Broker.ca.issuing)
	_, err = shown.Leaf.Verify(x509.VerifyOptions{
		Roots: d.Broker.ca.roots(), Intermediates: between, CurrentTime: d.Broker.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil, wire.E(wire.Unauthenticated, "the broker refuses our certificate: %v", err)
	}
	subject, err := wire.SubjectOf(shown.Leaf)
	if err != nil {
		return nil, err
	}
	return context.WithValue(ctx, callerKey{}, caller{subject, shown.Leaf}), nil
}

func direct[Req, Resp any](ctx context.Context, d Direct, call func(context.Context, Req) (Resp, error), req Req) (Resp, error) {
	var none Resp
	ctx, err := d.shake(ctx)
	if err != nil {
		return none, err
	}
	answer, err := call(ctx, req)
	return answer, wire.Status(err)
}

// Enrol calls the broker.
func (d Direct) Enrol(ctx context.Context, r *taplinev1.EnrolRequest, _ ...grpc.CallOption) (*taplinev1.EnrolResponse, error) {
	return direct(ctx, d, d.Broker.Enrol, r)
}

// Renew calls the broker.
func (d Direct) Renew(ctx context.Context, r *taplinev1.RenewRequest, _ ...grpc.CallOption) (*taplinev1.RenewResponse, error) {
	return direct(ctx, d, d.Broker.Renew, r)
}

// GetChallenge calls the broker.
func (d Direct) GetChallenge(ctx context.Context, r *taplinev1.GetChallengeRequest, _ ...grpc.CallOption) (*taplinev1.GetChallengeResponse, error) {
	return direct(ctx, d, d.Broker.GetChallenge, r)
}

// Recover calls the broker.
func (d Direct) Recover(ctx context.Context, r *taplinev1.RecoverRequest, _ ...grpc.CallOption) (*taplinev1.RecoverResponse, error) {
	return direct(ctx, d, d.Broker.Recover, r)
}
