package localapi

import (
	"context"
	"net"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// Peer is who the kernel says is at the other end of a connection.
type Peer struct {
	UID int
	PID int
}

// AuthType names the kind of proof.
func (Peer) AuthType() string { return "peer-credentials" }

// peerOf is the caller of a call; false where the kernel cannot tell.
func peerOf(ctx context.Context) (Peer, bool) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return Peer{}, false
	}
	who, ok := p.AuthInfo.(Peer)
	return who, ok
}

// peerCredentials are gRPC credentials that ask the kernel and send nothing.
type peerCredentials struct{}

func (peerCredentials) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	p, err := credentialsOf(conn)
	if err != nil {
		return nil, nil, err
	}
	return conn, p, nil
}

// ClientHandshake trusts the socket: its folder's rights say who can have made it.
func (peerCredentials) ClientHandshake(_ context.Context, _ string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return conn, Peer{UID: -1}, nil
}

func (peerCredentials) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "unix"}
}

func (c peerCredentials) Clone() credentials.TransportCredentials { return c }

func (peerCredentials) OverrideServerName(string) error { return nil }
