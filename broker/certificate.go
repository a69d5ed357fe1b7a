package broker

import (
	"crypto/tls"
	"sync"
	"time"

	"tapline/broker/identity"
)

// ownCertificate is the certificate that the broker shows: made when it is first asked for, and anew at half its life. Its key never leaves memory.
type ownCertificate struct {
	authority *identity.Authority
	hosts     []string
	now       func() time.Time

	mu      sync.Mutex // guards what follows
	cert    tls.Certificate
	renewAt time.Time
}

func (o *ownCertificate) get() (tls.Certificate, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.now()
	if o.cert.Leaf != nil && now.Before(o.renewAt) {
		return o.cert, nil
	}
	cert, err := o.authority.Server(o.hosts)
	if err != nil {
		return tls.Certificate{}, err
	}
	o.cert, o.renewAt = cert, now.Add(identity.ServerLife/2)
	return cert, nil
}
