package wire

import (
	"context"
	"crypto/tls"
	"fmt"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
)

// The limits of every connection. A message holds at most a batch of records and its frame.
const (
	MaxMessage   = 4 << 20
	MaxHeader    = 16 << 10
	MaxStreams   = 64 // at once, of one connection
	pingEvery    = 10 * time.Second
	pingTimeout  = 5 * time.Second
	pingMinimum  = 5 * time.Second
	maxReconnect = 5 * time.Second
)

// Dial makes a connection that comes up when it is first used and comes back by itself; a dead peer is noticed within 15 s.
func Dial(address string, c *tls.Config, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	retry := backoff.DefaultConfig
	retry.BaseDelay, retry.MaxDelay = 100*time.Millisecond, maxReconnect
	all := append([]grpc.DialOption{
		grpc.WithTransportCredentials(credentials.NewTLS(c)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingEvery, Timeout: pingTimeout}),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: retry, MinConnectTimeout: 3 * time.Second}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxMessage), grpc.MaxCallSendMsgSize(MaxMessage)),
		grpc.WithDisableServiceConfig(),
		grpc.WithIdleTimeout(0),
	}, opts...)
	conn, err := grpc.NewClient("passthrough:///"+address, all...)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	return conn, nil
}

// NewServer makes a server with our limits, error mapping and panic guard, which refuses a client certificate that is not good; opts may add interceptors, which run inside these.
func NewServer(c *tls.Config, opts ...grpc.ServerOption) *grpc.Server {
	all := append([]grpc.ServerOption{
		grpc.Creds(newJudge(c)),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingEvery, Timeout: pingTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingMinimum, PermitWithoutStream: true}),
		grpc.MaxRecvMsgSize(MaxMessage), grpc.MaxSendMsgSize(MaxMessage),
		grpc.MaxHeaderListSize(MaxHeader), grpc.MaxConcurrentStreams(MaxStreams),
		grpc.ConnectionTimeout(10 * time.Second),
		grpc.ChainUnaryInterceptor(unaryErrors), grpc.ChainStreamInterceptor(streamErrors),
	}, opts...)
	return grpc.NewServer(all...)
}

// unaryErrors maps a handler's error to its status.
func unaryErrors(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (resp any, err error) {
	defer func() { err = Status(caught(recover(), err)) }()
	if err := admit(ctx); err != nil {
		return nil, err
	}
	return next(ctx, req)
}

// streamErrors is unaryErrors for streams.
func streamErrors(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	defer func() { err = Status(caught(recover(), err)) }()
	if err := admit(stream.Context()); err != nil {
		return err
	}
	return next(srv, stream)
}

// Panic is a handler's panic, made an error so that one bad request does not end the service. It has the stack and not the
// panic's value when that is a message of ours: a request may hold secrets.
type Panic struct {
	Value any
	Stack []byte
}

// Error names the panic.
func (p *Panic) Error() string { return fmt.Sprintf("panic: %T", p.Value) }

// caught turns a recovered value into an error.
func caught(value any, err error) error {
	if value == nil {
		return err
	}
	return &Panic{Value: value, Stack: debug.Stack()}
}
