// Package vault seals what must not lie in the store in clear: private keys, badge numbers, secrets of shared accounts, and answers that hold a key.
//
// There are three keys one above the other. Each secret is sealed with AES-256-GCM under a data key of its own; the data key lies beside it,
// wrapped under the vault's root key; and the root key lies in the store, wrapped under the master key, which is a file that only the broker's
// account may read, a credential of systemd, or an entry of the keyring, and never in the store. The secret's name is bound into both seals, so that
// no sealed value can be moved to another place. So a new master key costs one row (Rotate), and brokers that run do not notice. From the root key
// also come the keyed hashes by which a badge number is found without being stored.
//
// Whoever has both the master key and the store has everything: back the two up apart. The vault never logs. Policy and directory never see it: they
// work with what is opened for them.
package vault

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

// KeySize is the length of a key in bytes.
const KeySize = 32

// ErrSealed says that a value was not sealed under this key and name, or was changed since.
var ErrSealed = errors.New("it was not sealed under this master key and name")

// sealedMark begins what has a data key of its own. Without it, it is of a broker before that: sealed under a key of the root itself.
const sealedMark = "\xf5tv2"

// wrappedSize is a wrapped key: nonce, key, tag.
const wrappedSize = 12 + KeySize + 16

// Vault seals and opens. It is safe for concurrent use.
type Vault struct {
	wrap   cipher.AEAD // of data keys
	direct cipher.AEAD // of values without a data key
	lookup []byte
}

// New makes a vault from its root key.
func New(root []byte) (*Vault, error) {
	if len(root) != KeySize {
		return nil, fmt.Errorf("a key has %d bytes, this one %d", KeySize, len(root))
	}
	return &Vault{
		wrap:   aead(derive(root, "tapline vault wrap v2")),
		direct: aead(derive(root, "tapline vault seal v1")),
		lookup: derive(root, "tapline vault lookup v1"),
	}, nil
}

// derive makes the key for one purpose. It fails only for lengths that are not ours.
func derive(key []byte, purpose string) []byte {
	k, err := hkdf.Key(sha256.New, key, nil, purpose, KeySize)
	if err != nil {
		panic("vault: derive key: " + err.Error())
	}
	return k
}

// aead is AES-256-GCM with random nonces, which it puts before what it seals. It fails only for a key of another length.
func aead(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("vault: " + err.Error())
	}
	a, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("vault: " + err.Error())
	}
	return a
}

// dataKeyName is what binds a data key to the name of its secret.
func dataKeyName(name string) []byte { return []byte("data key of " + name) }

// Seal encrypts a secret for the place that name names, under a data key of its own.
func (v *Vault) Seal(name string, secret []byte) []byte {
	key := make([]byte, KeySize)
	_, _ = rand.Read(key)
	defer clear(key)
	out := append(make([]byte, 0, len(sealedMark)+wrappedSize+12+len(secret)+16), sealedMark...)
	out = v.wrap.Seal(out, nil, key, dataKeyName(name))
	return aead(key).Seal(out, nil, secret, []byte(name))
}

// Open decrypts what Seal made for the same name.
func (v *Vault) Open(name string, sealed []byte) ([]byte, error) {
	if rest, ok := bytes.CutPrefix(sealed, []byte(sealedMark)); ok && len(rest) >= wrappedSize {
		if secret, err := v.open(name, rest); err == nil {
			return secret, nil
		}
	}
	secret, err := v.direct.Open(nil, nil, sealed, []byte(name))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, ErrSealed)
	}
	return secret, nil
}

func (v *Vault) open(name string, sealed []byte) ([]byte, error) {
	key, err := v.wrap.Open(nil, nil, sealed[:wrappedSize], dataKeyName(name))
	if err != nil {
		return nil, err
	}
	defer clear(key)
	return aead(key).Open(nil, nil, sealed[wrappedSize:], []byte(name))
}

// Digest is a keyed hash of b for a purpose: it finds and compares, and tells nothing to who has only the store.
func (v *Vault) Digest(purpose string, b []byte) []byte {
	h := hmac.New(sha256.New, v.lookup)
	_, _ = io.WriteString(h, purpose+"\x00")
	h.Write(b)
	return h.Sum(nil)
}
