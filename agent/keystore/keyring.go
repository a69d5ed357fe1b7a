package keystore

import (
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/zalando/go-keyring"
)

// ring is the keyring of the operating system: the Credential Manager of the calling account, or the Secret Service of the session.
type ring struct{ service string }

// openKeyring makes sure that the keyring is there and answers.
func openKeyring(service string) (Store, error) {
	if why := unsafeKeyring(); why != "" {
		return nil, fmt.Errorf("no keyring: %s", why)
	}
	r := ring{service: service}
	if _, err := r.Get("probe"); err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	return r, nil
}

// Get reads a secret.
func (r ring) Get(name string) ([]byte, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	text, err := keyring.Get(r.service, name)
	if errors.Is(err, keyring.ErrNotFound) {
		return nil, fmt.Errorf("keyring entry %s: %w", name, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("keyring entry %s: %w", name, err)
	}
	secret, err := base64.StdEncoding.DecodeString(text)
	if err != nil { // the error would show a part of it
		return nil, fmt.Errorf("keyring entry %s: not one of ours", name)
	}
	return secret, nil
}

// Put stores a secret. The keyring's own service makes it durable.
func (r ring) Put(name string, secret []byte) error {
	if err := checkSecret(name, secret); err != nil {
		return err
	}
	if err := keyring.Set(r.service, name, base64.StdEncoding.EncodeToString(secret)); err != nil {
		return fmt.Errorf("keyring entry %s: %w", name, err)
	}
	return nil
}

// Delete removes a secret.
func (r ring) Delete(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if err := keyring.Delete(r.service, name); err != nil && !errors.Is(err, keyring.ErrNotFound) {
		return fmt.Errorf("keyring entry %s: %w", name, err)
	}
	return nil
}

// Where names the keyring.
func (r ring) Where() string { return fmt.Sprintf("%s, entries of %s", ringName, r.service) }
