package record

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
)

// strict is the only base64 of this format: standard alphabet, padded, no line breaks, no spare bits.
var strict = base64.StdEncoding.Strict()

// PublicKey is an Ed25519 public key (RFC 8032). In JSON it is the standard base64 of its 32 bytes.
type PublicKey [ed25519.PublicKeySize]byte

// PublicKeyOf is the public half of key.
func PublicKeyOf(key ed25519.PrivateKey) PublicKey {
	var k PublicKey
	copy(k[:], key.Public().(ed25519.PublicKey))
	return k
}

// NewPublicKey takes over the 32 bytes of k.
func NewPublicKey(k ed25519.PublicKey) (PublicKey, error) {
	if len(k) != ed25519.PublicKeySize {
		return PublicKey{}, fmt.Errorf("an Ed25519 public key has %d bytes, this one %d", ed25519.PublicKeySize, len(k))
	}
	return PublicKey(k), nil
}

// ParsePublicKey reads what String writes.
func ParsePublicKey(s string) (PublicKey, error) {
	var k PublicKey
	return k, k.UnmarshalText([]byte(s))
}

// Ed25519 is the key as crypto/ed25519 wants it. The caller must not change it.
func (k PublicKey) Ed25519() ed25519.PublicKey { return k[:] }

// IsZero reports whether k is no key at all.
func (k PublicKey) IsZero() bool { return k == PublicKey{} }

// ID is the key's ID in an envelope: the first 16 hex digits of the SHA-256 of the raw key. It helps to find a key and proves nothing.
func (k PublicKey) ID() string {
	sum := sha256.Sum256(k[:])
	return hex.EncodeToString(sum[:keyIDBytes])
}

// String is the key in standard base64.
func (k PublicKey) String() string { return strict.EncodeToString(k[:]) }

// MarshalText writes standard base64.
func (k PublicKey) MarshalText() ([]byte, error) { return strict.AppendEncode(nil, k[:]), nil }

// UnmarshalText reads what MarshalText writes, and no other spelling of it.
func (k *PublicKey) UnmarshalText(b []byte) error {
	if len(b) != strict.EncodedLen(len(k)) {
		return fmt.Errorf("an Ed25519 public key is %d characters of base64", strict.EncodedLen(len(k)))
	}
	raw, err := strict.DecodeString(string(b))
	if err != nil || len(raw) != len(k) {
		return fmt.Errorf("an Ed25519 public key is %d bytes in standard base64", len(k))
	}
	*k = PublicKey(raw)
	return nil
}
