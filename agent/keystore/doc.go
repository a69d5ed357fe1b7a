// Package keystore keeps the station's few secrets: its identity key, its TLS key, the key of the open epoch of records, and the key
// that turns badge numbers into references.
//
// Packages identity and journal call it, each with names of its own. Secrets go to the keyring of the operating system where there is one
// that a service can rely on, else to files that only their owner can read, sealed under a credential of the service manager
// if it gave us one. Which of them it is, Where says in words for the technician.
//
// The kind that was chosen first stays: it is written down beside the files, so that a station that was enrolled from an administrator's shell
// finds its keys again as a service. The package never logs, never shows a secret in an error, never starts a keyring daemon, and never
// falls back to another store once it has been opened: a key that seems to be gone is worse than an error.
package keystore

import (
	"errors"
	"fmt"
	"regexp"
)

// ErrNotFound says that the store has no secret of that name.
var ErrNotFound = errors.New("no such secret")

// MaxSecret is the size, in bytes, up to which every kind of store takes a secret.
const MaxSecret = 1024

// Store keeps secrets by name. Its methods may be called from several goroutines.
type Store interface {
	// Get returns a secret, or an error that matches ErrNotFound.
	Get(name string) ([]byte, error)
	// Put stores a secret, in the place of an earlier one of that name. On nil it is durable; on an error either may be there.
	Put(name string, secret []byte) error
	// Delete destroys a secret, as far as the medium lets anybody do so. One that is not there is no error.
	Delete(name string) error
	// Where says in words where the secrets are, for a status screen.
	Where() string
}

// validName is what every kind of store can carry as it is.
var validName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)

func checkName(name string) error {
	if !validName.MatchString(name) {
		return fmt.Errorf("secret name %q: want up to 64 of a-z, 0-9 and -", name)
	}
	return nil
}

func checkSecret(name string, secret []byte) error {
	if err := checkName(name); err != nil {
		return err
	}
	if len(secret) == 0 || len(secret) > MaxSecret {
		return fmt.Errorf("secret %s has %d bytes, want 1 to %d", name, len(secret), MaxSecret)
	}
	return nil
}
