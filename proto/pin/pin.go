// Package pin makes and checks verifiers of PINs: argon2id in PHC string form, as a grant bundle carries it to a station.
//
// The broker makes one and checks one; a station checks the one in its bundle while the broker is away. A PIN is short, so the verifier only slows a thief
// down; what protects it is that broker and stations throttle and that bundles are small. Checking takes tens of milliseconds and 19 MiB on purpose, so it never happens inside an
// update of the store, and only a few at once. A PIN is never stored, logged or part of an error.
package pin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// The cost of one check (OWASP password storage, argon2id: 19 MiB, 2 passes, 1 lane).
const (
	memory  = 19 * 1024 // KiB
	passes  = 2
	lanes   = 1
	saltLen = 16
	keyLen  = 32
)

// Errors.
var (
	// ErrForm says that a PIN is not 4 to 12 digits.
	ErrForm = errors.New("a PIN is 4 to 12 digits")
	// ErrVerifier says that a verifier cannot be read.
	ErrVerifier = errors.New("not an argon2id verifier")
)

// Checker makes and checks, a few at once.
type Checker struct{ slots chan struct{} }

// NewChecker lets n checks run at once.
func NewChecker(n int) *Checker { return &Checker{slots: make(chan struct{}, n)} }

// Valid reports whether a PIN has the right form.
func Valid(pin string) bool {
	return len(pin) >= 4 && len(pin) <= 12 && strings.Trim(pin, "0123456789") == ""
}

// Make makes the verifier of a PIN.
func (c *Checker) Make(ctx context.Context, pin string) (string, error) {
	if !Valid(pin) {
		return "", ErrForm
	}
	salt := make([]byte, saltLen)
	_, _ = rand.Read(salt)
	key, err := c.derive(ctx, pin, salt, passes, memory, lanes)
	if err != nil {
		return "", err
	}
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memory, passes, lanes,
		b64.EncodeToString(salt), b64.EncodeToString(key)), nil
}

// Check reports whether verifier was made of pin.
func (c *Checker) Check(ctx context.Context, verifier, pin string) (bool, error) {
	if !Valid(pin) {
		return false, nil
	}
	parts := strings.Split(verifier, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false, ErrVerifier
	}
	var version, m, t, p int
	_, err := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &m, &t, &p)
	if err != nil || parts[2] != fmt.Sprintf("v=%d", version) || parts[3] != fmt.Sprintf("m=%d,t=%d,p=%d", m, t, p) {
		return false, ErrVerifier // the second look is for what Sscanf passes over: a tail, a plus sign
	}
	salt, err1 := base64.RawStdEncoding.Strict().DecodeString(parts[4])
	want, err2 := base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if err1 != nil || err2 != nil || version != argon2.Version || m < 8 || m > 1<<20 || t < 1 || t > 64 || p < 1 || p > 16 || len(want) != keyLen {
		return false, ErrVerifier
	}
	key, err := c.derive(ctx, pin, salt, uint32(t), uint32(m), uint8(p))
	return err == nil && subtle.ConstantTimeCompare(key, want) == 1, err
}

func (c *Checker) derive(ctx context.Context, pin string, salt []byte, t, m uint32, p uint8) ([]byte, error) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return argon2.IDKey([]byte(pin), salt, t, m, p, keyLen), nil
}
