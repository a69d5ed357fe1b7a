package renewal

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"math/rand/v2"
	"net"
	"sync"

	"google.golang.org/grpc"

	agent "tapline/agent/identity"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// weather is a network: it loses requests and answers.
type weather struct {
	chance        *rand.Rand
	request       float64
	reply         float64
	site          *site
	calls, r1, r2 int           // calls made; requests and answers lost
	busy          *sync.RWMutex // held for reading over a call; nil where nobody else is at the site
}

// connect is how a station reaches a broker.
func (w *weather) connect(address string, c *tls.Config) (agent.Registrar, func() error, error) {
	return &line{weather: w, address: address, secure: c, shaken: map[*replica]*admitted{}}, func() error { return nil }, nil
}

// line is one connection. One call in four reaches another broker on the store, as behind one address; that is harder than what stations meet.
type line struct {
	*weather
	address string
	secure  *tls.Config
	to      *replica
	shaken  map[*replica]*admitted
}

// broker is the broker that a call reaches, with who calls it. As on a connection, both sides look at their certificates once.
func (l *line) broker() (*replica, *admitted, error) {
	if l.to == nil || l.chance.IntN(4) == 0 {
		l.to = l.site.replicas[l.chance.IntN(len(l.site.replicas))]
	}
	if who, ok := l.shaken[l.to]; ok {
		return l.to, who, nil
	}
	who, err := l.shake(l.to)
	if err == nil {
		l.shaken[l.to] = who
	}
	return l.to, who, err
}

var errLost = wire.E(wire.Unavailable, "lost")

// admitted is who called, when a certificate was shown.
type admitted struct {
	who  wire.Subject
	cert *x509.Certificate
}

// shake makes the checks of both sides of a connection.
func (l *line) shake(r *replica) (*admitted, error) {
	own, err := r.own.Get()
	if err != nil {
		return nil, err
	}
	shown, err := parse(own.Certificate)
	if err != nil {
		return nil, err
	}
	name, _, err := net.SplitHostPort(l.address)
	if err != nil {
		return nil, err
	}
	if err := l.secure.VerifyConnection(tls.ConnectionState{ServerName: name, PeerCertificates: shown}); err != nil {
		return nil, wire.E(wire.Unavailable, "handshake: %w", err)
	}
	if l.secure.GetClientCertificate == nil {
		return nil, nil //nolint:nilnil // nobody showed a certificate
	}
	mine, err := l.secure.GetClientCertificate(&tls.CertificateRequestInfo{})
	if err != nil || len(mine.Certificate) == 0 {
		return nil, err
	}
	chain, err := parse(mine.Certificate)
	if err != nil {
		return nil, err
	}
	who, err := wire.Judge(r.authority.Roots(), chain, l.site.now())
	if err != nil {
		return nil, err
	}
	return &admitted{who, chain[0]}, nil
}

func parse(ders [][]byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for _, der := range ders {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// call makes one call over the line, or loses it.
func call[T any](ctx context.Context, l *line, method string, do func(*replica, *admitted) (T, error)) (T, error) {
	var none T
	if l.busy != nil {
		l.busy.RLock()
		defer l.busy.RUnlock()
	}
	l.calls++
	if l.chance.Float64() < l.request {
		l.r1++
		return none, errLost
	}
	r, who, err := l.broker()
	if err != nil {
		return none, err
	}
	switch {
	case who != nil:
		_, err = r.gate.Admit(ctx, method, who.who, who.cert)
	default:
		_, err = r.gate.Check(ctx, method)
	}
	if err != nil {
		return none, wire.Status(err)
	}
	answer, err := do(r, who)
	if l.chance.Float64() < l.reply {
		l.r2++
		return none, errLost
	}
	return answer, wire.Status(err)
}

// Enrol asks a broker.
func (l *line) Enrol(ctx context.Context, req *taplinev1.EnrolRequest, _ ...grpc.CallOption) (*taplinev1.EnrolResponse, error) {
	return call(ctx, l, taplinev1.StationService_Enrol_FullMethodName, func(r *replica, _ *admitted) (*taplinev1.EnrolResponse, error) {
		id, err := r.registrar.Enrol(ctx, req)
		return &taplinev1.EnrolResponse{Identity: id}, err
	})
}

// Renew asks a broker.
func (l *line) Renew(ctx context.Context, req *taplinev1.RenewRequest, _ ...grpc.CallOption) (*taplinev1.RenewResponse, error) {
	return call(ctx, l, taplinev1.StationService_Renew_FullMethodName, func(r *replica, by *admitted) (*taplinev1.RenewResponse, error) {
		id, err := r.registrar.Renew(ctx, stationOf(by), by.cert, req)
		return &taplinev1.RenewResponse{Identity: id}, err
	})
}

// GetChallenge asks a broker.
func (l *line) GetChallenge(ctx context.Context, req *taplinev1.GetChallengeRequest, _ ...grpc.CallOption) (*taplinev1.GetChallengeResponse, error) {
	return call(ctx, l, taplinev1.StationService_GetChallenge_FullMethodName, func(r *replica, _ *admitted) (*taplinev1.GetChallengeResponse, error) {
		return r.registrar.Answer(req)
	})
}

// Recover asks a broker.
func (l *line) Recover(ctx context.Context, req *taplinev1.RecoverRequest, _ ...grpc.CallOption) (*taplinev1.RecoverResponse, error) {
	return call(ctx, l, taplinev1.StationService_Recover_FullMethodName, func(r *replica, _ *admitted) (*taplinev1.RecoverResponse, error) {
		id, err := r.registrar.Recover(ctx, req)
		return &taplinev1.RecoverResponse{Identity: id}, err
	})
}
