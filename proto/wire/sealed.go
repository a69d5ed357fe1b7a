package wire

import (
	"crypto/ecdh"
	"crypto/hpke"
	"errors"
	"fmt"
	"strings"
	"time"
)

// How the secret of a shared account crosses to a station: sealed by HPKE (RFC 9180, base mode, HKDF-SHA256, ChaCha20Poly1305) to a key that the station
// made for the one request and signed with its identity key, with what it is for as the info.

// SecretInfo is what a sealed secret is for: it opens with the same info alone. session is the session, or the rotation, that it is for.
func SecretInfo(station, session, account string, expires time.Time) []byte {
	return []byte(strings.Join([]string{station, session, account, expires.UTC().Truncate(time.Second).Format(time.RFC3339)}, "\x00"))
}

// kemOf tells the kind of a public key by its length.
func kemOf(publicKey []byte) (hpke.KEM, error) {
	switch len(publicKey) {
	case 32:
		return hpke.DHKEM(ecdh.X25519()), nil
	case 1216:
		return hpke.MLKEM768X25519(), nil
	}
	return nil, fmt.Errorf("%d bytes, want 32 (X25519) or 1216 (MLKEM768-X25519)", len(publicKey))
}

// SealSecret seals a secret to a station's key.
func SealSecret(publicKey, info, secret []byte) (encapsulated, ciphertext []byte, err error) {
	kem, err := kemOf(publicKey)
	if err != nil {
		return nil, nil, err
	}
	key, err := kem.NewPublicKey(publicKey)
	if err != nil {
		return nil, nil, errors.New("not a public key of its kind")
	}
	encapsulated, sender, err := hpke.NewSender(key, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), info)
	if err != nil {
		return nil, nil, err
	}
	ciphertext, err = sender.Seal(nil, secret)
	return encapsulated, ciphertext, err
}

// SecretKey is the private half of a key made for one request.
type SecretKey struct{ key hpke.PrivateKey }

// NewSecretKey makes the key for one request.
func NewSecretKey() (SecretKey, error) {
	key, err := hpke.MLKEM768X25519().GenerateKey()
	if err != nil {
		return SecretKey{}, fmt.Errorf("make key: %w", err)
	}
	return SecretKey{key}, nil
}

// Public is the half that the broker seals to.
func (k SecretKey) Public() []byte { return k.key.PublicKey().Bytes() }

// Open opens what was sealed to the key for info.
func (k SecretKey) Open(encapsulated, info, ciphertext []byte) ([]byte, error) {
	r, err := hpke.NewRecipient(encapsulated, k.key, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), info)
	if err == nil {
		var secret []byte
		if secret, err = r.Open(nil, ciphertext); err == nil {
			return secret, nil
		}
	}
	return nil, errors.New("it was not sealed to this key for this purpose")
}
