package record

import (
	"crypto/ed25519"
	"errors"
	"fmt"
)

// ErrStatement is what OpenStatement returns for an envelope that the key did not sign or that holds something else.
var ErrStatement = errors.New("not a statement of this signer")

// SignPayload signs p as it stands. Most callers want Chain.Next, which fills in the place in the chain. A payload that a verifier would
// refuse on its own is refused here, so that nothing is ever signed that cannot be read.
func SignPayload(p Payload, key ed25519.PrivateKey) (Envelope, error) {
	b, err := signable(&p)
	if err != nil {
		return Envelope{}, fmt.Errorf("sign record: %w", err)
	}
	return seal(RecordPayloadType, b, key)
}

// Payload reads the payload of a record. The error wraps a FaultKind. It does not check the signature.
func (e Envelope) Payload() (Payload, error) {
	var p Payload
	if e.payloadType != RecordPayloadType {
		return Payload{}, fmt.Errorf("read record: %w: %q", FaultPayloadType, e.payloadType)
	}
	err := decode(e.payload, &p)
	if p.Version != Version && !errors.Is(err, FaultMalformed) {
		return Payload{}, fmt.Errorf("read record: %w %d", FaultUnknownVersion, p.Version)
	}
	if err == nil {
		err = p.Validate()
	}
	if err != nil {
		return Payload{}, fmt.Errorf("read record: %w", err)
	}
	return p, nil
}

// SignStatement signs anything that is not a record: station statements, receipts, grant bundles. payload must be a pointer to, or
// a struct of, JSON fields; if it has a Validate method, that decides too. OpenStatement reads it back.
func SignStatement(payloadType string, payload any, key ed25519.PrivateKey) (Envelope, error) {
	if payloadType == RecordPayloadType {
		return Envelope{}, errors.New("sign statement: a record is signed with SignPayload")
	}
	b, err := encode(payload)
	if err != nil {
		return Envelope{}, fmt.Errorf("sign statement: %w", err)
	}
	if v, ok := payload.(validator); ok {
		if err := v.Validate(); err != nil {
			return Envelope{}, fmt.Errorf("sign statement: %w", err)
		}
	}
	return seal(payloadType, b, key)
}

// OpenStatement checks that key signed e and that e holds a payload of the type, and reads it into the struct that into points to. A
// payload in any but the canonical spelling is refused.
func OpenStatement(e Envelope, payloadType string, key PublicKey, into any) error {
	if e.payloadType != payloadType {
		return fmt.Errorf("open statement: %w: %w: %q, not %q", ErrStatement, FaultPayloadType, e.payloadType, payloadType)
	}
	if e.keyID != key.ID() || !e.Verify(key) {
		return fmt.Errorf("open statement: %w: %w by key %s", ErrStatement, FaultBadSignature, key.ID())
	}
	return e.readStatement(payloadType, into)
}

func (e Envelope) readStatement(payloadType string, into any) error {
	if e.payloadType != payloadType {
		return fmt.Errorf("read statement: %w: %q, not %q", FaultPayloadType, e.payloadType, payloadType)
	}
	if err := decode(e.payload, into); err != nil {
		return fmt.Errorf("read statement: %w", err)
	}
	if v, ok := into.(validator); ok {
		if err := v.Validate(); err != nil {
			return fmt.Errorf("read statement: %w", err)
		}
	}
	return nil
}

// signable encodes p and reads it back, so that a string that JSON cannot hold is found before it is signed.
func signable(p *Payload) ([]byte, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	b, err := encode(p)
	if err != nil {
		return nil, err
	}
	var again Payload
	return b, decode(b, &again)
}
