// Package localapi answers programs and pages on the station: who is here, how the agent is, end this session.
//
// It serves LocalService three ways, which end in one place: gRPC and HTTP (JSON, server-sent events) over one socket, where the caller is known by the
// credentials that the kernel vouches for, and the same HTTP with the panel's page on an address of the loopback, for browsers, of whom nothing is known.
// One table says who may call what (rights.go), and one check bounds every request. Nothing listens on a network.
//
// The agent runs it and answers through the Station interface; the package itself knows no session, decides nothing, and never hands out a badge number
// or a reference of one.
package localapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// Station is what the local API tells of and acts on.
type Station interface {
	// Presence is who is here now.
	Presence() *taplinev1.Presence
	// Watch returns the present state and then every change, until ctx ends or the reader is too slow; then the channel is closed.
	Watch(ctx context.Context) <-chan *taplinev1.WatchPresenceResponse
	// EnterPin answers the PIN that the tap of that name waits for, for whoever has a pad or a keyboard: the panel and the API over HTTP call it too. It
	// returns when the record of what came of it is durable. A wrong or a locked PIN is a decision with its refusal and, when locked, its retry_after. An
	// error of kind wire.NotFound says that the tap does not wait for a PIN any more. The station throttles; the PIN goes nowhere but to who checks it.
	EnterPin(ctx context.Context, tap, pin string) (*taplinev1.Decision, error)
	// EndSession ends the session of that name, or calls off the tap that waits under it; the end is durable when it returns. An error of kind wire.NotFound says that it is not in force.
	EndSession(ctx context.Context, session string) error
	// ClaimBadge asks the broker for a badge that was refused here as unknown. Errors have the kind that the broker gave.
	ClaimBadge(ctx context.Context, req *taplinev1.ClaimBadgeRequest) (*taplinev1.ClaimBadgeResponse, error)
	// BeginEmergency opens the station, or gives the emergency in force. It waits for nothing.
	BeginEmergency(ctx context.Context, reason string) (*taplinev1.BeginEmergencyResponse, error)
	// ClaimEmergency has the next taps answer for an emergency. An error of kind wire.NotFound says that it waits for nobody.
	ClaimEmergency(ctx context.Context, req *taplinev1.ClaimEmergencyRequest) (*taplinev1.ClaimEmergencyResponse, error)
	// SignAction records a signature of the person who is here; it is durable when it returns. The service has checked that nothing is missing.
	SignAction(ctx context.Context, req *taplinev1.SignActionRequest) (*taplinev1.SignActionResponse, error)
	// IssueToken makes a token for an audience, if programs of the account uid may have it; owner is set for root and the agent's own account.
	IssueToken(ctx context.Context, req *taplinev1.IssueTokenRequest, uid int, owner bool) (*taplinev1.IssueTokenResponse, error)
	// TokenKeys is the key set that checks tokens.
	TokenKeys() (string, error)
	// FetchSecret gives the secret of the account of the session in force, after the record that says so is durable.
	FetchSecret(ctx context.Context, session string) (*taplinev1.FetchSecretResponse, error)
	// Authorize answers a sign-in of the operating system under an account. An error of kind wire.NotFound says that the station does not guard it,
	// one of kind wire.Unavailable that it guards none now.
	Authorize(ctx context.Context, account string) (*taplinev1.AuthorizeResponse, error)
	// AttachHelper serves the helper of an account in its graphical session until receive fails. An error of kind wire.Denied says that it is not wanted.
	AttachHelper(ctx context.Context, uid int, receive func() (*taplinev1.AttachHelperRequest, error), send func(*taplinev1.AttachHelperResponse) error) error
	// Status tells a technician how the agent is.
	Status() *taplinev1.GetStatusResponse
	// Diagnostics is what a technician sends to those who help: it names no person and holds no secret.
	Diagnostics() (*taplinev1.GetDiagnosticsResponse, error)
	// Reload reads the configuration again.
	Reload(ctx context.Context) (*taplinev1.ReloadResponse, error)
}

// Config is what a server needs. Socket, Station and Log are required.
type Config struct {
	// Socket is the path of the Unix socket, or the name of the pipe on Windows.
	Socket  string
	Station Station
	// Listen is the address of the loopback listener; empty for none. Hosts are names that it answers to beside those of the loopback.
	Listen string
	Hosts  []string
	// Page makes the page at /. Its requests that change something must carry token in the header TokenHeader; the token is another at each start.
	Page func(token string) http.Handler
	// Metrics answers at /metrics.
	Metrics http.Handler
	Log     *zap.Logger
}

// Server answers programs and pages. New makes it, Run runs it.
type Server struct {
	cfg     Config
	service *service
	feed    *feed
	seats   *seats
	door    *door
}

// New makes a server and starts nothing.
func New(cfg Config) *Server {
	return &Server{
		cfg: cfg, service: &service{station: cfg.Station}, feed: newFeed(), seats: &seats{most: maxWatchers},
		door: newDoor(cfg.Listen, cfg.Hosts, cfg.Log),
	}
}

// stopWithin is how long open calls may take to end.
const stopWithin = time.Second

// Run answers until ctx ends, or the socket cannot be served. A socket that another run left behind is replaced; one that somebody answers on is not. The
// loopback listener is tried again for as long as its address is not free.
func (s *Server) Run(ctx context.Context) error {
	socket, err := listen(ctx, s.cfg.Socket)
	if err != nil {
		return fmt.Errorf("serve local API: %w", err)
	}
	split := newSplitter(socket, s.cfg.Log)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return split.run(ctx) })
	group.Go(func() error { return s.runGRPC(ctx, split.grpc) })
	w := &web{service: s.service, unary: s.unary, feed: s.feed, seats: s.seats, metrics: s.cfg.Metrics, log: s.cfg.Log}
	group.Go(func() error { return serveHTTP(ctx, split.web, w.handler(nil), peerContext) })
	group.Go(func() error { return s.feed.run(ctx, s.cfg.Station) })
	group.Go(func() error { return s.door.run(ctx, w, s.cfg.Page) })
	s.cfg.Log.Info("local API serves", zap.String("socket", s.cfg.Socket))
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("serve local API: %w", err)
	}
	return nil
}

func (s *Server) runGRPC(ctx context.Context, l *lane) error {
	server := grpc.NewServer(grpc.Creds(peerCredentials{}), grpc.MaxRecvMsgSize(maxBody), grpc.MaxConcurrentStreams(64),
		grpc.ChainUnaryInterceptor(s.unary), grpc.ChainStreamInterceptor(s.stream))
	taplinev1.RegisterLocalServiceServer(server, s.service)
	stop := context.AfterFunc(ctx, func() {
		late := time.AfterFunc(stopWithin, server.Stop)
		defer late.Stop()
		server.GracefulStop()
	})
	defer stop()
	if err := server.Serve(l); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// unary is the way of every single call, over gRPC and over HTTP.
func (s *Server) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (resp any, err error) {
	defer func() { err = s.closed(info.FullMethod, recover(), err) }()
	if err := allowed(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	if err := check(req); err != nil {
		return nil, err
	}
	return next(ctx, req)
}

func (s *Server) stream(srv any, st grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	defer func() { err = s.closed(info.FullMethod, recover(), err) }()
	if err := allowed(st.Context(), info.FullMethod); err != nil {
		return err
	}
	return next(srv, st)
}

// closed is the end of a call: the error as it goes to the caller. A fault of ours is told to our log alone, a panic among them, which ends one call.
func (s *Server) closed(method string, panicked any, err error) error {
	if panicked != nil {
		s.cfg.Log.Error("a local call failed", zap.String("method", method), zap.String("panic", fmt.Sprintf("%T", panicked)), zap.ByteString("stack", debug.Stack()))
		return wire.Status(wire.E(wire.Internal, "internal error; see the agent's log"))
	}
	if wire.KindOf(err) == wire.Internal {
		name := method[strings.LastIndexByte(method, '/')+1:]
		s.cfg.Log.Error("a local call failed", zap.String("method", name), zap.Error(err))
		return wire.Status(wire.E(wire.Internal, "internal error; see the agent's log"))
	}
	return wire.Status(err)
}
