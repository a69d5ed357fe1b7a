package keystore

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A file of the store is a line that says how it was written, then the secret, in clear or as AES-256-GCM nonce and ciphertext with the
// secret's name as additional data, so that no file can stand in for another.
const (
	clearHead   = "tapline secret v1 clear\n"
	sealedHead  = "tapline secret v1 sealed\n"
	sealContext = "tapline keystore v1"
)

// minCredential is the least number of bytes that a credential must have to be a key.
const minCredential = 16

// sealer seals files; a nil sealer writes them in clear.
type sealer struct{ aead cipher.AEAD }

// credentialSealer makes a sealer of the credential that systemd laid into $CREDENTIALS_DIRECTORY; nil when there is none.
func credentialSealer(name string) (*sealer, error) {
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return nil, nil
	}
	secret, err := os.ReadFile(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("credential %s: %w", name, err)
	}
	if len(secret) < minCredential {
		return nil, fmt.Errorf("credential %s has %d bytes, want at least %d", name, len(secret), minCredential)
	}
	key, err := hkdf.Key(sha256.New, secret, nil, sealContext, 32)
	if err != nil {
		return nil, fmt.Errorf("credential %s: %w", name, err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("credential %s: %w", name, err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("credential %s: %w", name, err)
	}
	return &sealer{aead: aead}, nil
}

func (s *sealer) seal(name string, secret []byte) []byte {
	if s == nil {
		return append([]byte(clearHead), secret...)
	}
	return s.aead.Seal([]byte(sealedHead), nil, secret, []byte(name))
}

// unseal reads a file of the store. A file of zeros is one that Delete had begun to destroy.
func (s *sealer) unseal(name string, data []byte) ([]byte, error) {
	if secret, ok := bytes.CutPrefix(data, []byte(clearHead)); ok {
		return secret, nil
	}
	sealed, ok := bytes.CutPrefix(data, []byte(sealedHead))
	switch {
	case !ok && isErased(data):
		return nil, ErrNotFound
	case !ok:
		return nil, errors.New("not a file of this store")
	case s == nil:
		return nil, errors.New("it is sealed under a credential that the service manager did not give us")
	}
	secret, err := s.aead.Open(nil, nil, sealed, []byte(name))
	if err != nil {
		return nil, errors.New("the credential does not open it, or it was changed")
	}
	return secret, nil
}

func isErased(data []byte) bool { return len(data) > 0 && data[0] == 0 }
