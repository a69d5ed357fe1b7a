package record

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
)

// Payload types: what the envelope says that it holds. The type is among the signed bytes.
const (
	RecordPayloadType  = "application/vnd.tapline.record.v1+json"
	StationPayloadType = "application/vnd.tapline.station.v1+json"
	ReceiptPayloadType = "application/vnd.tapline.receipt.v1+json"
	LogPayloadType     = "application/vnd.tapline.log.v1+json"
)

// Limits, in bytes of the whole envelope.
const (
	MaxRecord    = 16 << 10 // of a record, a station statement, a receipt
	MaxStatement = 16 << 20 // of anything else, as a grant bundle
)

const (
	maxPayloadType = 128
	keyIDBytes     = 8
)

// Envelope is a parsed DSSE envelope with exactly one signature. Having one says that its form is right; it does not say that its
// signature is: see Verify, OpenStatement and the Verifier. The zero Envelope holds nothing.
type Envelope struct {
	raw         []byte
	pae         []byte
	payloadType string
	payload     []byte // the end of pae
	keyID       string
	sig         []byte
}

// The fixed parts of an envelope, in order.
const (
	partPayload = `{"payload":"`
	partType    = `","payloadType":"`
	partKeyID   = `","signatures":[{"keyid":"`
	partSig     = `","sig":"`
	partEnd     = `"}]}`
)

// ParseEnvelope reads an envelope: one JSON object without white space, keys in the order of SPEC.md, strict base64, one signature. It copies
// b. The error wraps a FaultKind.
func ParseEnvelope(b []byte) (Envelope, error) {
	if len(b) > MaxStatement {
		return Envelope{}, fmt.Errorf("parse envelope: %w: %d bytes", FaultTooLarge, len(b))
	}
	e, ok := scan(bytes.Clone(b))
	if !ok {
		return Envelope{}, fmt.Errorf("parse envelope: %w", diagnose(b))
	}
	if len(b) > MaxRecord && isSmall(e.payloadType) {
		return Envelope{}, fmt.Errorf("parse envelope: %w: %d bytes", FaultTooLarge, len(b))
	}
	return e, nil
}

func isSmall(payloadType string) bool {
	return payloadType == RecordPayloadType || payloadType == StationPayloadType || payloadType == ReceiptPayloadType || payloadType == LogPayloadType
}

// scan walks the fixed parts. There is one spelling, so whatever it accepts, write gives back.
func scan(b []byte) (Envelope, bool) {
	e := Envelope{raw: b}
	var payload, payloadType, keyID, sig []byte
	rest, ok := bytes.CutPrefix(b, []byte(partPayload))
	for _, f := range []struct {
		into *[]byte
		end  string
	}{{&payload, partType}, {&payloadType, partKeyID}, {&keyID, partSig}, {&sig, partEnd}} {
		if !ok {
			return Envelope{}, false
		}
		*f.into, rest, ok = bytes.Cut(rest, []byte(f.end))
	}
	if !ok || len(rest) != 0 || !isPlain(payloadType) || len(keyID) != 2*keyIDBytes || !isLowerHex(keyID) {
		return Envelope{}, false
	}
	var err1, err2 error
	e.payloadType, e.keyID = string(payloadType), string(keyID)
	payload, err1 = decodeBase64(payload)
	e.sig, err2 = decodeBase64(sig)
	e.setPayload(payload)
	return e, err1 == nil && err2 == nil && len(e.payload) > 0 && len(e.sig) == ed25519.SignatureSize
}

// decodeBase64 is strict about line breaks too, which encoding/base64 skips.
func decodeBase64(b []byte) ([]byte, error) {
	if bytes.ContainsAny(b, "\r\n") {
		return nil, FaultNotCanonical
	}
	return strict.AppendDecode(nil, b)
}

// isPlain reports whether t can stand in JSON as it is.
func isPlain(t []byte) bool {
	for _, c := range t {
		if c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return len(t) > 0 && len(t) <= maxPayloadType
}

// diagnose says in which way b is not an envelope.
func diagnose(b []byte) error {
	var loose struct {
		Payload     string `json:"payload"`
		PayloadType string `json:"payloadType"`
		Signatures  []struct {
			KeyID string `json:"keyid"`
			Sig   string `json:"sig"`
		} `json:"signatures"`
	}
	if err := json.Unmarshal(b, &loose); err != nil {
		return fmt.Errorf("%w: %w", FaultMalformed, err)
	}
	switch {
	case len(loose.Signatures) == 0:
		return FaultUnsigned
	case len(loose.Signatures) > 1:
		return fmt.Errorf("%w: %d signatures", FaultExtraSignature, len(loose.Signatures))
	case loose.Signatures[0].Sig == "":
		return FaultUnsigned
	case loose.Payload == "" || loose.PayloadType == "":
		return fmt.Errorf("%w: no payload", FaultMalformed)
	}
	for _, s := range [...]string{loose.Payload, loose.Signatures[0].Sig} {
		if _, err := base64.StdEncoding.DecodeString(s); err != nil {
			return fmt.Errorf("%w: %w", FaultMalformed, err)
		}
	}
	return FaultNotCanonical
}

// seal signs payload and builds the envelope around it.
func seal(payloadType string, payload []byte, key ed25519.PrivateKey) (Envelope, error) {
	if len(key) != ed25519.PrivateKeySize {
		return Envelope{}, fmt.Errorf("sign: a private key of %d bytes, not %d", len(key), ed25519.PrivateKeySize)
	}
	if !isPlain([]byte(payloadType)) {
		return Envelope{}, fmt.Errorf("sign: payload type %q", payloadType)
	}
	e := Envelope{payloadType: payloadType, keyID: PublicKeyOf(key).ID()}
	e.setPayload(payload)
	e.sig = ed25519.Sign(key, e.PAE())
	e.raw = e.write()
	if limit := limitOf(payloadType); len(e.raw) > limit {
		return Envelope{}, fmt.Errorf("sign: %w: %d bytes, limit %d", FaultTooLarge, len(e.raw), limit)
	}
	return e, nil
}

func limitOf(payloadType string) int {
	if isSmall(payloadType) {
		return MaxRecord
	}
	return MaxStatement
}

func (e Envelope) write() []byte {
	b := make([]byte, 0, len(partPayload)+len(partType)+len(partKeyID)+len(partSig)+len(partEnd)+
		strict.EncodedLen(len(e.payload))+len(e.payloadType)+len(e.keyID)+strict.EncodedLen(len(e.sig)))
	b = append(b, partPayload...)
	b = strict.AppendEncode(b, e.payload)
	b = append(append(b, partType...), e.payloadType...)
	b = append(append(b, partKeyID...), e.keyID...)
	b = append(b, partSig...)
	b = strict.AppendEncode(b, e.sig)
	return append(b, partEnd...)
}

// Bytes is the envelope as it is stored and sent: one line of JSON without a newline. The caller must not change it.
func (e Envelope) Bytes() []byte { return e.raw }

// IsZero reports whether e holds nothing.
func (e Envelope) IsZero() bool { return e.raw == nil }

// PayloadType says what the envelope holds.
func (e Envelope) PayloadType() string { return e.payloadType }

// PayloadBytes is the signed payload. The caller must not change it.
func (e Envelope) PayloadBytes() []byte { return e.payload }

// KeyID is the ID of the key that the envelope says signed it.
func (e Envelope) KeyID() string { return e.keyID }

// PAE is the signed bytes: the pre-authentication encoding of DSSE v1, "DSSEv1 LEN(type) TYPE LEN(payload) PAYLOAD". The caller must not
// change them.
func (e Envelope) PAE() []byte { return e.pae }

// setPayload builds the signed bytes around payload.
func (e *Envelope) setPayload(payload []byte) {
	b := make([]byte, 0, len(e.payloadType)+len(payload)+32)
	b = append(b, "DSSEv1 "...)
	b = append(strconv.AppendInt(b, int64(len(e.payloadType)), 10), ' ')
	b = append(append(b, e.payloadType...), ' ')
	b = append(strconv.AppendInt(b, int64(len(payload)), 10), ' ')
	e.pae = append(b, payload...)
	e.payload = e.pae[len(b):]
}

// Hash is the SHA-256 of the signed bytes. The next record of the chain has it as prev.
func (e Envelope) Hash() Hash { return HashOf(e.PAE()) }

// Verify reports whether key signed the envelope. It does not look at the key ID.
func (e Envelope) Verify(key PublicKey) bool {
	return len(e.sig) == ed25519.SignatureSize && ed25519.Verify(key.Ed25519(), e.PAE(), e.sig)
}
