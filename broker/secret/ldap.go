package secret

import (
	"context"
	"errors"
	"fmt"
	"time"

	directory "tapline/broker/ldap"
	"tapline/broker/vault"
)

// LDAP is the driver that changes secrets in an LDAP directory or in Active Directory.
type LDAP struct{ Client *directory.Client }

// Set makes new the password of an account.
func (d LDAP) Set(ctx context.Context, account string, new vault.Secret) error {
	err := d.Client.SetPassword(ctx, account, new)
	if errors.Is(err, directory.ErrPolicy) || errors.Is(err, directory.ErrNoEntry) || errors.Is(err, directory.ErrRights) {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return err
}

// Verify says whether the directory takes a password.
func (d LDAP) Verify(ctx context.Context, account string, s vault.Secret) (bool, error) {
	own, err := d.Client.Open(ctx) // or a wrong password of the broker's own account would read like a wrong one here
	if err != nil {
		return false, err
	}
	own.Close()
	err = d.Client.Verify(ctx, account, s)
	if errors.Is(err, directory.ErrCredentials) {
		return false, nil
	}
	if errors.Is(err, directory.ErrExpired) { // it is the right one
		return true, nil
	}
	return err == nil, err
}

// Window is how long the directory goes on taking the old password.
func (d LDAP) Window(ctx context.Context) (time.Duration, error) {
	w, err := d.Client.OldPasswordWindow(ctx)
	return w.For, err
}
