package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"time"

	"tapline/proto/record"
)

// Errors that callers match.
var (
	// ErrNotEnrolled says that the folder holds no identity.
	ErrNotEnrolled = errors.New("this station is not enrolled")
	// ErrEnrolled says that the folder holds an identity already, and Options.Replace was not set.
	ErrEnrolled = errors.New("this station is enrolled already")
	// ErrClone says that the broker has seen a newer identity of this station: another machine goes on from a copy of this disk, or this one
	// from an old image. The station is quarantined until an administrator picks one.
	ErrClone = errors.New("the broker knows a newer identity of this station: quarantined")
	// ErrRevoked says that the station was revoked.
	ErrRevoked = errors.New("the broker has revoked this station")
	// ErrApproval says that the station was away too long to come back by itself.
	ErrApproval = errors.New("away too long: an administrator must approve the recovery")
)

// Identity is the station at one moment. It is a value: a renewal makes a new one. Its formatting shows no key.
type Identity struct {
	Station record.StationID
	Site    string
	Chain   record.ChainID
	// Statement is the broker's word on station, chain, identity key and first record key.
	Statement record.Envelope
	// EvidenceKey checks receipts, statements and bundles.
	EvidenceKey record.PublicKey
	// BadgeKey makes references of badge numbers.
	BadgeKey Secret
	// Brokers to call, host:port, in order of preference.
	Brokers []string
	// Roots are what the broker's certificate must end in.
	Roots []*x509.Certificate
	// Certificate is the client certificate with its key.
	Certificate tls.Certificate
	NotAfter    time.Time
	RenewAt     time.Time
	// JoinSequence rises by one with each certificate.
	JoinSequence uint64
	// Trust is the version of the trust statement that Roots are from; 0 before the first.
	Trust uint64
}

// Format hides the keys from every verb.
func (id Identity) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "station %s, chain %s, join %d, until %s", id.Station, id.Chain, id.JoinSequence, id.NotAfter.UTC().Format(time.RFC3339))
}

// MarshalJSON refuses: an identity is never written out as a whole.
func (id Identity) MarshalJSON() ([]byte, error) {
	return nil, errors.New("an identity holds keys and is not written out")
}

// Secret is bytes that no format verb and no encoder shows.
type Secret []byte

// String hides the secret.
func (s Secret) String() string { return "(secret)" }

// GoString hides the secret.
func (s Secret) GoString() string { return s.String() }

// Format hides the secret from every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalJSON hides the secret.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"(secret)"`), nil }
