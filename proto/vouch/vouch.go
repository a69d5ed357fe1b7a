// Package vouch is what a broker vouches for to a station, in its own signature: what time it is, which roots to trust, and how far
// the station's identity has come.
//
// The broker signs the statements with its evidence key, which a station has known since it enrolled, so that they hold where no certificate
// does: a station whose clock is wrong learns the time, a station that slept through a change of the root learns the new one, and a
// broker whose store was restored from a backup believes a station that knows more than it. Each is a DSSE envelope with a JSON
// payload, like a receipt (package record).
//
// The package does no I/O and reads no clock. It does not decide what follows from a statement: that is the caller's.
package vouch

import (
	"errors"
	"fmt"
	"time"

	"tapline/proto/record"
)

// The payload types of the statements.
const (
	TimeType  = "application/vnd.tapline.time.v1+json"
	TrustType = "application/vnd.tapline.trust-update.v1+json"
	JoinType  = "application/vnd.tapline.join.v1+json"
)

// version of every statement here.
const version = 1

// Sizes of a nonce.
const (
	MinNonce = 16
	MaxNonce = 64
)

// Limits of a trust statement.
const (
	maxRoots   = 8
	maxBrokers = 32
)

// Signer signs statements: the holder of the evidence key.
type Signer interface {
	Sign(payloadType string, payload any) (record.Envelope, error)
}

// Time says what time it is at the broker, to a station that asked with a nonce.
type Time struct {
	V       int              `json:"v"`
	Station record.StationID `json:"station"`
	Nonce   []byte           `json:"nonce"` // the station's own, so that the time is fresh
	At      time.Time        `json:"at"`    // the broker's clock, UTC
}

// Validate says what is wrong with the statement.
func (t *Time) Validate() error {
	switch {
	case t.V != version:
		return fmt.Errorf("time statement: version %d", t.V)
	case !t.Station.Valid():
		return fmt.Errorf("time statement: station %q", t.Station)
	case len(t.Nonce) < MinNonce || len(t.Nonce) > MaxNonce:
		return fmt.Errorf("time statement: nonce of %d bytes, want %d to %d", len(t.Nonce), MinNonce, MaxNonce)
	case t.At.IsZero():
		return errors.New("time statement: no time")
	}
	return nil
}

// NewTime signs the time.
func NewTime(s Signer, station record.StationID, nonce []byte, at time.Time) ([]byte, error) {
	return sign(s, TimeType, &Time{V: version, Station: station, Nonce: nonce, At: utc(at)})
}

// OpenTime reads a time that key signed for a station and a nonce.
func OpenTime(b []byte, key record.PublicKey, station record.StationID, nonce []byte) (time.Time, error) {
	var t Time
	if err := open(b, TimeType, key, &t); err != nil {
		return time.Time{}, err
	}
	if t.Station != station || string(t.Nonce) != string(nonce) {
		return time.Time{}, errors.New("time statement: it answers somebody else")
	}
	return t.At, nil
}

// Trust says which roots a station shall trust, and which brokers it shall call.
type Trust struct {
	V int `json:"v"`
	// Version rises with every change; a station never goes back to a lower one.
	Version uint64    `json:"version"`
	Site    string    `json:"site"`
	Roots   [][]byte  `json:"roots"` // certificates, DER
	Brokers []string  `json:"brokers,omitempty"`
	At      time.Time `json:"at"` // the broker's clock, UTC
}

// Validate says what is wrong with the statement.
func (t *Trust) Validate() error {
	switch {
	case t.V != version:
		return fmt.Errorf("trust statement: version %d", t.V)
	case t.Version == 0:
		return errors.New("trust statement: no version of the trust")
	case len(t.Roots) == 0 || len(t.Roots) > maxRoots:
		return fmt.Errorf("trust statement: %d roots, want 1 to %d", len(t.Roots), maxRoots)
	case len(t.Brokers) > maxBrokers:
		return fmt.Errorf("trust statement: %d brokers, at most %d", len(t.Brokers), maxBrokers)
	}
	return nil
}

// NewTrust signs a trust statement; the caller fills all but V.
func NewTrust(s Signer, t Trust) ([]byte, error) {
	t.V, t.At = version, utc(t.At)
	return sign(s, TrustType, &t)
}

// OpenTrust reads a trust statement that key signed for a site.
func OpenTrust(b []byte, key record.PublicKey, site string) (Trust, error) {
	var t Trust
	if err := open(b, TrustType, key, &t); err != nil {
		return Trust{}, err
	}
	if t.Site != site {
		return Trust{}, fmt.Errorf("trust statement: for site %q, this is %q", t.Site, site)
	}
	return t, nil
}

// Join says how far a station's identity has come.
type Join struct {
	V        int              `json:"v"`
	Station  record.StationID `json:"station"`
	Chain    record.ChainID   `json:"chain"`
	Sequence uint64           `json:"sequence"` // of the certificate that came with it
	Serial   string           `json:"serial"`   // of that certificate, lower-case hex
	At       time.Time        `json:"at"`       // the broker's clock, UTC
}

// Validate says what is wrong with the statement.
func (j *Join) Validate() error {
	switch {
	case j.V != version:
		return fmt.Errorf("join statement: version %d", j.V)
	case !j.Station.Valid():
		return fmt.Errorf("join statement: station %q", j.Station)
	case !j.Chain.Valid():
		return fmt.Errorf("join statement: chain %q", j.Chain)
	case j.Sequence == 0 || j.Serial == "":
		return errors.New("join statement: no sequence number or no serial number")
	}
	return nil
}

// NewJoin signs a join statement; the caller fills all but V.
func NewJoin(s Signer, j Join) ([]byte, error) {
	j.V, j.At = version, utc(j.At)
	return sign(s, JoinType, &j)
}

// OpenJoin reads a join statement that key signed for a station.
func OpenJoin(b []byte, key record.PublicKey, station record.StationID) (Join, error) {
	var j Join
	if err := open(b, JoinType, key, &j); err != nil {
		return Join{}, err
	}
	if j.Station != station {
		return Join{}, fmt.Errorf("join statement: of station %s", j.Station)
	}
	return j, nil
}

func utc(t time.Time) time.Time { return t.Round(0).UTC() }

func sign(s Signer, payloadType string, payload any) ([]byte, error) {
	e, err := s.Sign(payloadType, payload)
	if err != nil {
		return nil, err
	}
	return e.Bytes(), nil
}

// maxStatement bounds what is parsed.
const maxStatement = 64 << 10

func open(b []byte, payloadType string, key record.PublicKey, into any) error {
	if len(b) == 0 || len(b) > maxStatement {
		return fmt.Errorf("statement of %d bytes, want 1 to %d", len(b), maxStatement)
	}
	e, err := record.ParseEnvelope(b)
	if err != nil {
		return err
	}
	return record.OpenStatement(e, payloadType, key, into)
}
