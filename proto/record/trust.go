package record

import (
	"fmt"
	"time"
)

// Trust is what an auditor must believe to check evidence: the broker's evidence keys. Evidence brings its own in trust.json, which proves
// nothing about who wrote it; an auditor who was given a key by another way pins that.
type Trust struct {
	V    int           `json:"v"`
	Keys []EvidenceKey `json:"keys"`
	// Origin names the broker's log, as in its checkpoints.
	Origin string `json:"origin,omitempty"`
	// RootSPKI is the SHA-256 of the public key (SPKI in DER) of the CA root that stations are enrolled under.
	RootSPKI *Hash `json:"root_spki,omitempty"`
}

// EvidenceKey is a key with which the broker signs station statements and receipts, and when. Until is zero for the one in use.
type EvidenceKey struct {
	Key   PublicKey `json:"key"`
	From  time.Time `json:"from,omitzero"`
	Until time.Time `json:"until,omitzero"`
}

// Pin is the trust in one key alone, at any time.
func Pin(key PublicKey) Trust {
	return Trust{V: Version, Keys: []EvidenceKey{{Key: key}}}
}

// ParseTrust reads what Encode writes, and no other spelling. The error wraps a FaultKind.
func ParseTrust(b []byte) (Trust, error) {
	var t Trust
	if err := decode(b, &t); err != nil {
		return Trust{}, fmt.Errorf("read trust: %w", err)
	}
	if err := t.Validate(); err != nil {
		return Trust{}, fmt.Errorf("read trust: %w", err)
	}
	return t, nil
}

// Encode writes t as one line of JSON without a newline.
func (t *Trust) Encode() ([]byte, error) {
	if err := t.Validate(); err != nil {
		return nil, fmt.Errorf("write trust: %w", err)
	}
	return encode(t)
}

// Validate says what is wrong with t. The error wraps a FaultKind.
func (t *Trust) Validate() error {
	if t.V != Version {
		return fmt.Errorf("%w %d", FaultUnknownVersion, t.V)
	}
	if len(t.Keys) == 0 {
		return bad("no keys")
	}
	for _, k := range t.Keys {
		if k.Key.IsZero() || !isUTC(k.From) || !isUTC(k.Until) {
			return bad("key %s", k.Key)
		}
	}
	return nil
}

// at is whether the key signed at time t.
func (k EvidenceKey) at(t time.Time) bool {
	return !t.Before(k.From) && (k.Until.IsZero() || !t.After(k.Until))
}

// open opens a statement with the key that e names, and checks with when, after that, that the key was in use then.
func (t *Trust) open(e Envelope, payloadType string, into any, when func() time.Time) error {
	for _, k := range t.Keys {
		if k.Key.ID() != e.KeyID() {
			continue
		}
		if err := OpenStatement(e, payloadType, k.Key, into); err != nil {
			return err
		}
		if !k.at(when()) {
			return fmt.Errorf("key %s was not in use at %s", k.Key.ID(), when().Format(time.RFC3339))
		}
		return nil
	}
	return fmt.Errorf("signed with key %s, which is not a key of the broker", e.KeyID())
}

// Station opens a station statement.
func (t *Trust) Station(e Envelope) (StationStatement, error) {
	var s StationStatement
	err := t.open(e, StationPayloadType, &s, func() time.Time { return s.EnrolledAt })
	return s, err
}

// Receipt opens a receipt.
func (t *Trust) Receipt(e Envelope) (Receipt, error) {
	var r Receipt
	err := t.open(e, ReceiptPayloadType, &r, func() time.Time { return r.BrokerTime })
	return r, err
}

// Log opens a log statement.
func (t *Trust) Log(e Envelope) (LogStatement, error) {
	var s LogStatement
	err := t.open(e, LogPayloadType, &s, func() time.Time { return s.From })
	return s, err
}
