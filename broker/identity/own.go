package identity

import (
	"context"
	"crypto/tls"
	"sync"
	"time"
)

// Own is the certificate that the broker shows: made when it is first asked for, and anew at half its life, when the authority has changed,
// and when the clock was set back behind its making. Its key never leaves memory.
type Own struct {
	Authority *Authority
	// Hosts are the names and addresses that it is good for.
	Hosts []string
	Now   func() time.Time

	mu      sync.Mutex // guards what follows
	cert    tls.Certificate
	madeAt  time.Time
	renewAt time.Time
	mark    string // of the authority that made it
}

// stepped is how far back the clock may be set before the certificate is made anew.
const stepped = time.Hour

// Get is the certificate for now.
func (o *Own) Get() (tls.Certificate, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.Now()
	mark := o.Authority.Mark()
	if o.cert.Leaf != nil && now.Before(o.renewAt) && now.After(o.madeAt.Add(-stepped)) && mark == o.mark {
		return o.cert, nil
	}
	if err := o.Authority.Ready(context.Background()); err != nil {
		return tls.Certificate{}, err
	}
	cert, err := o.Authority.Server(o.Hosts)
	if err != nil {
		return tls.Certificate{}, err
	}
	o.cert, o.madeAt, o.renewAt, o.mark = cert, now, now.Add(ServerLife/2), o.Authority.Mark()
	return cert, nil
}
