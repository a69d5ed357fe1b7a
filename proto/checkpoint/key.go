package checkpoint

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// Types of keys, as their first byte.
const (
	logKey     byte = 1 // Ed25519 over the text: a log
	witnessKey byte = 4 // Ed25519 over cosignature/v1: a witness
)

// cosignatureSize is a timestamp and an Ed25519 signature.
const cosignatureSize = 8 + ed25519.SignatureSize

// Key is the public key of a log or a witness.
type Key struct {
	name string
	kind byte
	key  ed25519.PublicKey
}

// LogKey is the public key of the log that is named origin.
func LogKey(origin string, key ed25519.PublicKey) Key { return Key{origin, logKey, key} }

// WitnessKey is the public key of a witness.
func WitnessKey(name string, key ed25519.PublicKey) Key { return Key{name, witnessKey, key} }

// ParseKey reads a verifier key, "NAME+HASH+BASE64", as String writes it.
func ParseKey(vkey string) (Key, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return Key{}, malformed("a verifier key is NAME+HASH+KEY")
	}
	name, hash, encoded := parts[0], parts[1], parts[2]
	raw, err := strict.DecodeString(encoded)
	if err != nil || len(raw) != 1+ed25519.PublicKeySize || !ValidName(name) {
		return Key{}, malformed("a verifier key is NAME+HASH+KEY with an Ed25519 key in base64")
	}
	k := Key{name, raw[0], raw[1:]}
	switch {
	case k.kind != logKey && k.kind != witnessKey:
		return Key{}, malformed("key of type %d; those of logs (1) and of witnesses (4) are known", k.kind)
	case k.String() != vkey:
		return Key{}, malformed("the hash %.20q is not the key's: a typing error?", hash)
	}
	return k, nil
}

// String is the verifier key.
func (k Key) String() string {
	return fmt.Sprintf("%s+%08x+%s", k.name, k.KeyHash(), strict.EncodeToString(k.raw()))
}

func (k Key) raw() []byte { return append([]byte{k.kind}, k.key...) }

// IsLog reports whether it is the key of a log and not that of a witness.
func (k Key) IsLog() bool { return k.kind == logKey }

// Name is the log's origin or the witness's name.
func (k Key) Name() string { return k.name }

// KeyHash is the first 32 bits of the SHA-256 of name and key. It helps to find a key and proves nothing.
func (k Key) KeyHash() uint32 {
	sum := sha256.Sum256(append([]byte(k.name+"\n"), k.raw()...))
	return binary.BigEndian.Uint32(sum[:])
}

// Ed25519 is the raw key.
func (k Key) Ed25519() ed25519.PublicKey { return k.key }

// Verify checks a signature over a checkpoint's text.
func (k Key) Verify(text, signature []byte) bool {
	if k.kind == logKey {
		return len(signature) == ed25519.SignatureSize && ed25519.Verify(k.key, text, signature)
	}
	if len(signature) != cosignatureSize {
		return false
	}
	at := binary.BigEndian.Uint64(signature)
	return at <= 1<<63-1 && ed25519.Verify(k.key, cosigned(text, at), signature[8:])
}

// cosigned is what a witness signs.
func cosigned(text []byte, at uint64) []byte {
	return append([]byte("cosignature/v1\ntime "+strconv.FormatUint(at, 10)+"\n"), text...)
}

// signer signs as a log or a witness.
type signer struct {
	Key
	private ed25519.PrivateKey
	at      uint64 // of a witness: when
}

// Sign signs a checkpoint's text.
func (s signer) Sign(text []byte) ([]byte, error) {
	if s.kind == logKey {
		return ed25519.Sign(s.private, text), nil
	}
	return append(binary.BigEndian.AppendUint64(nil, s.at), ed25519.Sign(s.private, cosigned(text, s.at))...), nil
}

// Sign is the checkpoint as a note with the log's signature. The same checkpoint gives the same bytes.
func Sign(c Checkpoint, key ed25519.PrivateKey) ([]byte, error) {
	text := c.Text()
	if again, err := Parse(text); err != nil || again.Text() != text {
		return nil, fmt.Errorf("sign checkpoint: it could not be read again: %w", err)
	}
	signed, err := note.Sign(&note.Note{Text: text}, signer{Key: LogKey(c.Origin, key.Public().(ed25519.PublicKey)), private: key})
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	return signed, nil
}

// Cosign is the signature line of a witness for a checkpoint that it has found to extend what it saw before.
func Cosign(c Checkpoint, name string, key ed25519.PrivateKey, now time.Time) ([]byte, error) {
	s := signer{Key: WitnessKey(name, key.Public().(ed25519.PublicKey)), private: key, at: uint64(max(0, now.Unix()))}
	signature, err := s.Sign([]byte(c.Text()))
	if err != nil {
		return nil, err
	}
	return line(s.Key, signature), nil
}

// line is a signature line of a note.
func line(k Key, signature []byte) []byte {
	raw := append(binary.BigEndian.AppendUint32(nil, k.KeyHash()), signature...)
	return []byte("— " + k.name + " " + strict.EncodeToString(raw) + "\n")
}
