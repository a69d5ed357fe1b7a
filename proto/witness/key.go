package witness

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"tapline/proto/checkpoint"
)

// Key is a witness's private key and its name.
type Key struct {
	Name    string
	private ed25519.PrivateKey
}

// NewKey makes a key from a seed of 32 bytes.
func NewKey(name string, seed []byte) (Key, error) {
	if !checkpoint.ValidName(name) || len(seed) != ed25519.SeedSize {
		return Key{}, fmt.Errorf("a witness's name has no blanks and no plus (%q), its seed %d bytes (%d)", name, ed25519.SeedSize, len(seed))
	}
	return Key{name, ed25519.NewKeyFromSeed(seed)}, nil
}

// Verifier is the public key, as logs and auditors are given it.
func (k Key) Verifier() checkpoint.Key {
	return checkpoint.WitnessKey(k.Name, k.private.Public().(ed25519.PublicKey))
}

// keyPrefix begins a private key in a file, as in package note.
const keyPrefix = "PRIVATE+KEY+"

// text is the key as it stands in its file.
func (k Key) text() string {
	raw := append([]byte{4}, k.private.Seed()...)
	return fmt.Sprintf("%s%s+%08x+%s\n", keyPrefix, k.Name, k.Verifier().KeyHash(), base64.StdEncoding.EncodeToString(raw))
}

func parseKey(text string) (Key, error) {
	rest, is := strings.CutPrefix(text, keyPrefix)
	parts := strings.SplitN(strings.TrimSuffix(rest, "\n"), "+", 3)
	if !is || len(parts) != 3 {
		return Key{}, errors.New("it holds no private key of a witness")
	}
	raw, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(raw) != 1+ed25519.SeedSize || raw[0] != 4 {
		return Key{}, errors.New("it holds no private key of a witness")
	}
	k, err := NewKey(parts[0], raw[1:])
	if err == nil && k.text() != text {
		err = errors.New("the key in it is damaged")
	}
	return k, err
}

// LoadKey reads the key in a file, and makes one with the name if there is no file. An empty name takes any.
func LoadKey(path, name string) (Key, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && name != "" {
		return makeKey(path, name)
	}
	if err != nil {
		return Key{}, fmt.Errorf("read witness's key: %w", err)
	}
	k, err := parseKey(string(b))
	if err != nil {
		return Key{}, fmt.Errorf("witness's key %s: %w", path, err)
	}
	if name != "" && k.Name != name {
		return Key{}, fmt.Errorf("witness's key %s is that of %s, not of %s", path, k.Name, name)
	}
	return k, nil
}

func makeKey(path, name string) (Key, error) {
	seed := make([]byte, ed25519.SeedSize)
	_, _ = rand.Read(seed)
	k, err := NewKey(name, seed)
	if err != nil {
		return Key{}, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return Key{}, fmt.Errorf("make witness's key: %w", err)
	}
	_, err = f.WriteString(k.text())
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return Key{}, fmt.Errorf("make witness's key: %w", err)
	}
	return k, nil
}
