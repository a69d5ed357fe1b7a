// Package vault seals what must not lie in the store in clear: private keys, badge numbers, and answers that hold a key.
//
// One master key of 32 bytes, in a file that only the broker's account may read, seals each secret with AES-256-GCM; the secret's name is bound
// in, so that no sealed value can be moved to another place. The same key gives the keyed hashes by which a badge number is found without being
// stored. Whoever has both the master key and the store has everything: back the two up apart.
//
// The vault never logs, and its only file is the master key. Policy and directory never see it: they work with what is
// opened for them.
package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// KeySize is the length of the master key in bytes.
const KeySize = 32

// KeyFile is the master key's name in the data folder.
const KeyFile = "master.key"

// ErrSealed says that a value was not sealed under this key and name, or was changed since.
var ErrSealed = errors.New("it was not sealed under this master key and name")

// Vault seals and opens. It is safe for concurrent use.
type Vault struct {
	seal   cipher.AEAD
	lookup []byte
}

// New makes a vault from a master key.
func New(master []byte) (*Vault, error) {
	if len(master) != KeySize {
		return nil, fmt.Errorf("a master key has %d bytes, this one %d", KeySize, len(master))
	}
	sealing, err := hkdf.Key(sha256.New, master, nil, "tapline vault seal v1", KeySize)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	lookup, err := hkdf.Key(sha256.New, master, nil, "tapline vault lookup v1", KeySize)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	block, err := aes.NewCipher(sealing)
	if err != nil {
		return nil, fmt.Errorf("cipher: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("cipher: %w", err)
	}
	return &Vault{seal: aead, lookup: lookup}, nil
}

// Open reads the master key in the folder dir, and makes one if there is none.
func Open(dir string) (*Vault, error) {
	path := filepath.Join(dir, KeyFile)
	master, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeKey(path); err != nil {
			return nil, fmt.Errorf("make master key: %w", err)
		}
		master, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read master key: %w", err)
	}
	if err := checkRights(path); err != nil {
		return nil, fmt.Errorf("master key %s: %w", path, err)
	}
	v, err := New(master)
	if err != nil {
		return nil, fmt.Errorf("master key %s: %w", path, err)
	}
	return v, nil
}

// makeKey writes a new key beside its place and links it there, so that of two first starts one wins and a crash leaves no half a key:
// open O_EXCL, write, fsync, link, unlink, fsync of the folder.
func makeKey(path string) error {
	key := make([]byte, KeySize)
	_, _ = rand.Read(key)
	f, err := os.CreateTemp(filepath.Dir(path), KeyFile+".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // the link is what counts
	_, err = f.Write(key)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// Seal encrypts a secret for the place that name names.
func (v *Vault) Seal(name string, secret []byte) []byte {
	return v.seal.Seal(nil, nil, secret, []byte(name))
}

// Open decrypts what Seal made for the same name.
func (v *Vault) Open(name string, sealed []byte) ([]byte, error) {
	secret, err := v.seal.Open(nil, nil, sealed, []byte(name))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, ErrSealed)
	}
	return secret, nil
}

// Digest is a keyed hash of b for a purpose: it finds and compares, and tells nothing to who has only the store.
func (v *Vault) Digest(purpose string, b []byte) []byte {
	h := hmac.New(sha256.New, v.lookup)
	_, _ = io.WriteString(h, purpose+"\x00")
	h.Write(b)
	return h.Sum(nil)
}
