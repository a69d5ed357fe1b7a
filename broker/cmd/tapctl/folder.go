package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"tapline/installer/osservice"
	taplinev1 "tapline/proto/tapline/v1"
)

// The files of an identity folder.
const (
	certFile   = "admin.crt"
	keyFile    = "admin.key"
	rootsFile  = "roots.pem"
	brokerFile = "broker"
)

// contextPattern is what a context may be called: it is a folder.
const contextPattern = `^[a-z0-9][a-z0-9._-]{0,63}$`

// contextsDir is where this user's identities are, one folder a context; empty if the system says of no place for settings.
func contextsDir() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "tapctl", "contexts")
}

// currentFile names the context in use.
func currentFile() string { return filepath.Join(filepath.Dir(contextsDir()), "current") }

func currentContext() string {
	b, err := os.ReadFile(currentFile())
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func checkContext(name string) error {
	if ok, err := regexp.MatchString(contextPattern, name); err != nil || !ok {
		return usage("--context %q: want small letters, digits, dots, dashes", name)
	}
	return nil
}

// folder is the identity folder in force: the one that is named, the context's, or that of a broker on this machine.
func (o *options) folder() string {
	switch {
	case o.identity != "":
		return o.identity
	case o.context != "":
		return filepath.Join(contextsDir(), o.context)
	}
	if c := currentContext(); c != "" {
		return filepath.Join(contextsDir(), c)
	}
	return defaultIdentity
}

// held is an identity as its folder has it.
type held struct {
	dir     string
	cert    tls.Certificate
	roots   *x509.CertPool
	brokers []string
}

// hold reads the identity folder.
func (o *options) hold() (held, error) {
	h := held{dir: o.folder(), roots: x509.NewCertPool()}
	var err error
	if h.cert, err = tls.LoadX509KeyPair(filepath.Join(h.dir, certFile), filepath.Join(h.dir, keyFile)); err != nil {
		return h, identityFault(h.dir, err)
	}
	roots, err := os.ReadFile(filepath.Join(h.dir, rootsFile))
	if err != nil {
		return h, identityFault(h.dir, err)
	}
	if !h.roots.AppendCertsFromPEM(roots) {
		return h, identityFault(h.dir, errors.New("roots.pem holds no certificate"))
	}
	if h.brokers = addresses(o.broker); len(h.brokers) > 0 {
		return h, nil
	}
	b, err := os.ReadFile(filepath.Join(h.dir, brokerFile))
	if err != nil {
		return h, identityFault(h.dir, err)
	}
	if h.brokers = addresses(string(b)); len(h.brokers) == 0 {
		return h, identityFault(h.dir, errors.New("broker names no address"))
	}
	return h, nil
}

// addresses are the addresses in a list: with commas on a command line, one a line in a file.
func addresses(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == '\n' || r == ' ' || r == '\r' })
}

// expiry warns of a certificate that is in its last third. The broker renews the one in its own folder by itself.
func (h held) expiry(now time.Time) string {
	c := h.cert.Leaf
	if c == nil || h.dir == defaultIdentity || c.NotAfter.Sub(now) > c.NotAfter.Sub(c.NotBefore)/3 {
		return ""
	}
	if now.After(c.NotAfter) {
		return fmt.Sprintf("warning: this identity ended at %s; log in again (tapctl login)", c.NotAfter.Local().Format("2006-01-02 15:04"))
	}
	return fmt.Sprintf("warning: this identity ends at %s; renew it (tapctl admin renew, or tapctl login)", c.NotAfter.Local().Format("2006-01-02 15:04"))
}

// pending is a key that was made for a login whose answer may have been lost: trying again with it gets the same answer.
func pending(dir string) (ed25519.PrivateKey, error) {
	path := pendingFile(dir)
	if b, err := os.ReadFile(path); err == nil {
		if block, _ := pem.Decode(b); block != nil {
			if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
				if k, ok := key.(ed25519.PrivateKey); ok {
					return k, nil
				}
			}
		}
	}
	key, b, err := newKey()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return nil, err
	}
	return key, os.WriteFile(path, b, 0o600)
}

// pendingFile is where a login keeps its key until the identity is there.
func pendingFile(dir string) string { return dir + ".pending" }

// newKey makes a key and its PEM.
func newKey() (ed25519.PrivateKey, []byte, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

func request(key ed25519.PrivateKey) ([]byte, error) {
	return x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
}

// keep puts an identity into a folder that its owner alone may read, all of it or nothing: the new folder takes the old one's place.
func keep(dir string, id *taplinev1.OfficerIdentity, key ed25519.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	fresh, old := dir+".new", dir+".old"
	if err := errors.Join(os.RemoveAll(fresh), os.RemoveAll(old), os.MkdirAll(fresh, 0o700)); err != nil {
		return fmt.Errorf("keep identity: %w", err)
	}
	for name, data := range map[string][]byte{
		keyFile:    pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		certFile:   certificates(id.GetCertificates()),
		rootsFile:  certificates(id.GetRoots()),
		brokerFile: []byte(strings.Join(id.GetBrokers(), "\n") + "\n"),
	} {
		if err := os.WriteFile(filepath.Join(fresh, name), data, 0o600); err != nil {
			return fmt.Errorf("keep identity: %w", err)
		}
	}
	if err := os.Rename(dir, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("keep identity: %w", err)
	}
	if err := os.Rename(fresh, dir); err != nil {
		return fmt.Errorf("keep identity: %w", err)
	}
	if err := os.Remove(pendingFile(dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("keep identity: %w", err)
	}
	return os.RemoveAll(old)
}

func certificates(all [][]byte) []byte {
	var b bytes.Buffer
	for _, der := range all {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	return b.Bytes()
}

func identityFault(dir string, err error) error {
	code := osservice.Config
	if errors.Is(err, os.ErrPermission) {
		code = osservice.NotPermitted
	}
	return osservice.Fault(code, fmt.Errorf("read identity folder %s: %w", dir, err),
		`log in (tapctl login), or name the folder that tapbroker made (DATA/admin) with --identity or TAPCTL_IDENTITY; it is readable by its owner alone`)
}
