package localapi

import (
	"context"
	"errors"
	"net"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// Peer is who is at the other end of a connection.
//
// On the socket the kernel vouches for UID, as it was when the caller connected. What a caller may do hangs on it alone: PID is for the log, nothing is
// ever looked up by it, so that a number which the system gave to another process meanwhile misleads nobody. On the loopback listener nobody vouches
// for anything: such a caller is a browser, whatever it is.
type Peer struct {
	UID     int // -1 where nobody can tell
	PID     int
	Browser bool
	// Owner is set for an administrator and for the agent's own account.
	Owner bool
}

// AuthType names the kind of proof.
func (Peer) AuthType() string { return "peer-credentials" }

// peerOf is the caller of a call; false where nobody can tell.
func peerOf(ctx context.Context) (Peer, bool) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return Peer{}, false
	}
	who, ok := p.AuthInfo.(Peer)
	return who, ok
}

// withPeer is ctx of a call that p makes.
func withPeer(ctx context.Context, p Peer) context.Context {
	return peer.NewContext(ctx, &peer.Peer{AuthInfo: p, LocalAddr: noAddr{}, Addr: noAddr{}})
}

type noAddr struct{}

func (noAddr) Network() string { return "local" }
func (noAddr) String() string  { return "" }

// knownConn is a connection whose other end was asked for when it was accepted.
type knownConn struct {
	net.Conn
	peer  Peer
	head  []byte // read already, and to be read again
	leave func() // gives back its place; nil for none
}

// Close makes room.
func (c *knownConn) Close() error {
	if c.leave != nil {
		defer c.leave()
	}
	return c.Conn.Close()
}

func (c *knownConn) Read(b []byte) (int, error) {
	if len(c.head) > 0 {
		n := copy(b, c.head)
		c.head = c.head[n:]
		return n, nil
	}
	return c.Conn.Read(b)
}

// peerCredentials are gRPC credentials that send nothing: the listener has asked already.
type peerCredentials struct{}

func (peerCredentials) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	known, ok := conn.(*knownConn)
	if !ok {
		return nil, nil, errors.New("peer credentials: nobody asked who this is")
	}
	return conn, known.peer, nil
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
