package identity

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"tapline/broker/store"
	"tapline/proto/wire"
)

// The files of an identity folder, which tapctl reads.
const (
	AdminCertFile  = "admin.crt"
	AdminKeyFile   = "admin.key"
	AdminRootsFile = "roots.pem"
	AdminBroker    = "broker"
)

// EnsureAdmin makes sure that the folder dir holds an administrator's identity with some life in it: certificate, key and roots. It is for
// the administrator who sits at the broker's own machine; the folder is as secret as a key.
func (a *Authority) EnsureAdmin(ctx context.Context, dir, name string) error {
	if a.adminGood(ctx, dir) {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("admin identity: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("admin identity: %w", err)
	}
	got, err := a.person(ctx, wire.RoleAdmin, name, key.Public())
	if err != nil {
		return fmt.Errorf("admin identity: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("admin identity: %w", err)
	}
	for _, f := range []struct {
		name string
		data []byte
	}{
		{AdminKeyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})},
		{AdminCertFile, encodePEM(got.chain())},
		{AdminRootsFile, encodePEM(a.RootCertificates())},
	} {
		if err := WriteFile(filepath.Join(dir, f.name), f.data); err != nil {
			return fmt.Errorf("admin identity: %w", err)
		}
	}
	return nil
}

func encodePEM(ders [][]byte) []byte {
	var out []byte
	for _, der := range ders {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return out
}

// adminGood reports whether the identity in dir is ours, still known, and good for a third of its life.
func (a *Authority) adminGood(ctx context.Context, dir string) bool {
	pairOf, err := tls.LoadX509KeyPair(filepath.Join(dir, AdminCertFile), filepath.Join(dir, AdminKeyFile))
	if err != nil || pairOf.Leaf == nil {
		return false
	}
	roots, err := os.ReadFile(filepath.Join(dir, AdminRootsFile))
	if err != nil {
		return false
	}
	if string(roots) != string(encodePEM(a.RootCertificates())) || !a.leads(pairOf) {
		return false
	}
	err = a.store.View(ctx, func(tx *store.Tx) error {
		c, err := tx.Certificate(Serial(pairOf.Leaf))
		if err == nil && !c.RevokedAt.IsZero() {
			err = store.ErrNotFound
		}
		return err
	})
	return err == nil && pairOf.Leaf.NotAfter.Sub(a.now()) > PersonLife/3
}

// leads reports whether a certificate leads to a root of ours, now.
func (a *Authority) leads(c tls.Certificate) bool {
	between := x509.NewCertPool()
	for _, der := range c.Certificate[1:] {
		if cert, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(cert)
		}
	}
	_, err := c.Leaf.Verify(x509.VerifyOptions{
		Roots: a.Roots(), Intermediates: between, CurrentTime: a.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return err == nil
}

// Person issues a certificate for an officer and gives its chain, leaf first, roots last.
func (a *Authority) Person(ctx context.Context, role wire.Role, name string, key any) ([][]byte, error) {
	got, err := a.person(ctx, role, name, key)
	if err != nil {
		return nil, err
	}
	return got.whole(), nil
}

func (a *Authority) person(ctx context.Context, role wire.Role, name string, key any) (issued, error) {
	if !role.Officer() {
		return issued{}, fmt.Errorf("a person cannot have the role %s", role)
	}
	if err := a.Ready(ctx); err != nil {
		return issued{}, err
	}
	got, cert, err := a.client(wire.Subject{Site: a.site, Role: role, Name: name}, key, PersonLife, 0)
	if err != nil {
		return issued{}, err
	}
	return got, a.store.Update(ctx, func(tx *store.Tx) error { return tx.AddCertificate(cert) })
}

// PurgeCertificates forgets certificates that ended long ago.
func (a *Authority) PurgeCertificates(ctx context.Context) error {
	before := a.now().Add(-30 * 24 * time.Hour)
	return a.store.Update(ctx, func(tx *store.Tx) error { return tx.PurgeCertificates(before) })
}

// WriteFile writes a file that only its owner may read, whole or not at all.
func WriteFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		if gone := os.Remove(f.Name()); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	return err
}
