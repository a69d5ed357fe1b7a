package broker

import (
	"context"
	"crypto/tls"
	"sync"
	"time"

	"tapline/broker/identity"
)

// ownCertificate is the certificate that the broker shows: made when it is first asked for, and anew at half its life, when the authority has changed,
// and when the clock was set back behind its making. Its key never leaves memory.
type ownCertificate struct {
	authority *identity.Authority
	hosts     []string
	now       func() time.Time

	mu      sync.Mutex // guards what follows
	cert    tls.Certificate
	madeAt  time.Time
	renewAt time.Time
	mark    string // of the authority that made it
}

// stepped is how far back the clock may be set before the certificate is made anew.
const stepped = time.Hour

func (o *ownCertificate) get() (tls.Certificate, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.now()
	mark := o.authority.Mark()
	if o.cert.Leaf != nil && now.Before(o.renewAt) && now.After(o.madeAt.Add(-stepped)) && mark == o.mark {
		return o.cert, nil
	}
	if err := o.authority.Ready(context.Background()); err != nil {
		return tls.Certificate{}, err
	}
	cert, err := o.authority.Server(o.hosts)
	if err != nil {
		return tls.Certificate{}, err
	}
	o.cert, o.madeAt, o.renewAt, o.mark = cert, now, now.Add(identity.ServerLife/2), o.authority.Mark()
	return cert, nil
}
