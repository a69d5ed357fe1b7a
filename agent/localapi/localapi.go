// Package localapi answers programs on the station: who is here, how the agent is, end this session.
//
// It serves LocalService over a Unix socket. The caller is known by the credentials that the kernel vouches for (SO_PEERCRED): who may connect
// may ask who is here and claim a badge; the agent's own state, ending a session and reloading are for root and for the agent's own account. Nothing
// listens on a network.
//
// The agent runs it and answers through the Station interface; the package itself knows no session and keeps no state. What needs later
// parts of the agent (PIN entry, emergencies, tokens, sign-in) answers UNIMPLEMENTED and says so.
package localapi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"go.uber.org/zap"
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
	// EndSession ends the session of that name; the end is durable when it returns. An error of kind wire.NotFound says that it is not in force.
	EndSession(ctx context.Context, session string) error
	// ClaimBadge asks the broker for a badge that was refused here as unknown. Errors have the kind that the broker gave.
	ClaimBadge(ctx context.Context, req *taplinev1.ClaimBadgeRequest) (*taplinev1.ClaimBadgeResponse, error)
	// FetchSecret gives the secret of the account of the session in force, after the record that says so is durable.
	FetchSecret(ctx context.Context, session string) (*taplinev1.FetchSecretResponse, error)
	// Status tells a technician how the agent is.
	Status() *taplinev1.GetStatusResponse
	// Reload reads the configuration again.
	Reload(ctx context.Context) (*taplinev1.ReloadResponse, error)
}

// stopWithin is how long open calls may take to end.
const stopWithin = time.Second

// Serve answers on the socket at path until ctx ends. A socket that another run left behind is replaced; one that somebody answers on is not.
func Serve(ctx context.Context, path string, station Station, log *zap.Logger) error {
	if runtime.GOOS == "windows" {
		log.Warn("no local API in this build for Windows: it comes with a named pipe")
		<-ctx.Done()
		return nil
	}
	l, err := listen(ctx, path)
	if err != nil {
		return fmt.Errorf("serve local API: %w", err)
	}
	server := grpc.NewServer(grpc.Creds(peerCredentials{}), grpc.MaxRecvMsgSize(64<<10), grpc.MaxConcurrentStreams(64),
		grpc.ChainUnaryInterceptor(unary), grpc.ChainStreamInterceptor(stream))
	taplinev1.RegisterLocalServiceServer(server, &service{station: station})
	stop := context.AfterFunc(ctx, func() {
		late := time.AfterFunc(stopWithin, server.Stop)
		defer late.Stop()
		server.GracefulStop()
	})
	defer stop()
	log.Info("local API serves", zap.String("socket", path))
	if err := server.Serve(l); err != nil && ctx.Err() == nil {
		return fmt.Errorf("serve local API: %w", err)
	}
	return nil
}

// listen makes the socket. Everybody may connect: what a caller may do is decided by who it is.
func listen(ctx context.Context, path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	var dialer net.Dialer
	if conn, err := dialer.DialContext(ctx, "unix", path); err == nil {
		_ = conn.Close()
		return nil, fmt.Errorf("%s: another agent answers there", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o666); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if err := allowed(ctx, info.FullMethod); err != nil {
		return nil, wire.Status(err)
	}
	resp, err := next(ctx, req)
	return resp, wire.Status(err)
}

func stream(srv any, s grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if err := allowed(s.Context(), info.FullMethod); err != nil {
		return wire.Status(err)
	}
	return wire.Status(next(srv, s))
}

// allowed asks whether the caller may call the method at all.
func allowed(ctx context.Context, method string) error {
	switch method {
	case taplinev1.LocalService_WhoIsHere_FullMethodName, taplinev1.LocalService_WatchPresence_FullMethodName:
		return nil
	case taplinev1.LocalService_ClaimBadge_FullMethodName: // for the shared account's own programs; the broker throttles it, and wrong PINs
		return nil
	}
	p, ok := peerOf(ctx)
	if ok && (p.UID == 0 || p.UID == os.Geteuid()) {
		return nil
	}
	return wire.E(wire.Denied, "only root and the agent's own account may call %s", filepath.Base(method))
}
