package identity

import (
	"time"

	"tapline/broker/store"
	"tapline/proto/wire"
)

// Lifetimes of what officers have.
const (
	InvitationLife    = 24 * time.Hour
	MaxInvitationLife = 7 * 24 * time.Hour
	OfficerLife       = 30 * 24 * time.Hour // a certificate, unless the invitation says otherwise
	MinOfficerLife    = time.Hour
	LoginLife         = 8 * time.Hour // a certificate that an ID token was traded for: a shift
)

// Officer issues a certificate for an officer inside an update, for the key of a certificate request (PKCS #10, DER). It gives the chain, leaf first,
// root last, and the row of the registry.
func (a *Authority) Officer(tx *store.Tx, role wire.Role, name string, csr []byte, life time.Duration) ([][]byte, store.Certificate, error) {
	key, err := readCSR(csr, name)
	if err != nil {
		return nil, store.Certificate{}, err
	}
	if !role.Officer() {
		return nil, store.Certificate{}, wire.E(wire.Invalid, "role: %q is none of a person", role)
	}
	chain, cert, err := a.client(wire.Subject{Site: a.site, Role: role, Name: name}, key, life, 0)
	if err != nil {
		return nil, cert, err
	}
	return chain.whole(), cert, tx.AddCertificate(cert)
}

// ForgetOfficer makes the next call of an officer ask the store.
func (r *Registry) ForgetOfficer(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forgot++
	for serial, e := range r.entries {
		if e.subject.Role.Officer() && e.subject.Name == name {
			delete(r.entries, serial)
		}
	}
}
