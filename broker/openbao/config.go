package openbao

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"tapline/proto/wire"
)

// Name is what an account calls this vault.
const Name = "openbao"

// Config says where the vault is and how the broker logs in to it.
type Config struct {
	// Address is its URL, https://host:8200.
	Address string `yaml:"address"`
	// Mount is where its KV engine of version 2 is mounted. Default "secret".
	Mount string `yaml:"mount"`
	// Prefix is the path below which all secrets of this plant lie. Default "tapline".
	Prefix string `yaml:"prefix"`
	// Namespace, if it has any.
	Namespace string `yaml:"namespace"`
	// CAFile holds the certificates, in PEM, that the server's is checked with. Default: the machine's.
	CAFile string `yaml:"ca_file"`
	Auth   Auth   `yaml:"auth"`
	// Timeout bounds one call. Default 3 s.
	Timeout time.Duration `yaml:"timeout"`
}

// Auth is how the broker logs in: one of the two.
type Auth struct {
	AppRole *AppRole `yaml:"approle"`
	// TokenFile holds a token on one line. It is read again when the vault does not take the one before any more.
	TokenFile string `yaml:"token_file"`
}

// AppRole is a role and the file with its secret ID.
type AppRole struct {
	// Mount is where the method is mounted. Default "approle".
	Mount        string `yaml:"mount"`
	RoleID       string `yaml:"role_id"`
	SecretIDFile string `yaml:"secret_id_file"`
}

const (
	defaultTimeout = 3 * time.Second
	maxTimeout     = 5 * time.Second // a station waits for its secret about that long
	maxCredential  = 4096
)

func (c Config) filled() Config {
	c.Mount, c.Prefix = cmp.Or(c.Mount, "secret"), cmp.Or(c.Prefix, "tapline")
	c.Timeout = cmp.Or(c.Timeout, defaultTimeout)
	if c.Auth.AppRole != nil {
		role := *c.Auth.AppRole
		role.Mount = cmp.Or(role.Mount, "approle")
		c.Auth.AppRole = &role
	}
	return c
}

// Check names every fault of the configuration at once. It reads the files that are named, and asks no server.
func (c Config) Check() []error {
	c = c.filled()
	var faults []error
	bad := func(key, format string, args ...any) {
		faults = append(faults, fmt.Errorf("openbao.%s: %w", key, fmt.Errorf(format, args...)))
	}
	u, err := url.Parse(c.Address)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/" {
		bad("address", "want https://host[:port]; secrets cross no network without TLS")
	}
	for key, path := range map[string]string{"mount": c.Mount, "prefix": c.Prefix} {
		if !goodPath(path) {
			bad(key, "%q: want words of letters, digits, dots, dashes and underscores, with / between them", path)
		}
	}
	if c.Namespace != "" && !goodPath(strings.TrimSuffix(c.Namespace, "/")) {
		bad("namespace", "%q is none", c.Namespace)
	}
	if _, err := wire.ReadRoots(c.CAFile); err != nil {
		bad("ca_file", "%w", err)
	}
	if c.Timeout < 100*time.Millisecond || c.Timeout > maxTimeout {
		bad("timeout", "%s: want 100ms to %s", c.Timeout, maxTimeout)
	}
	role := c.Auth.AppRole
	switch {
	case role != nil && c.Auth.TokenFile != "":
		bad("auth", "approle or token_file, not both")
	case role != nil:
		if role.RoleID == "" || strings.ContainsAny(role.RoleID, " \r\n") {
			bad("auth.approle.role_id", "want the role's ID")
		}
		if !goodPath(role.Mount) {
			bad("auth.approle.mount", "%q is no path", role.Mount)
		}
		if _, err := credential(role.SecretIDFile); err != nil {
			bad("auth.approle.secret_id_file", "%w", err)
		}
	case c.Auth.TokenFile != "":
		if _, err := credential(c.Auth.TokenFile); err != nil {
			bad("auth.token_file", "%w", err)
		}
	default:
		bad("auth", "want approle with role_id and secret_id_file, or token_file")
	}
	return faults
}

func goodPath(path string) bool {
	for word := range strings.SplitSeq(path, "/") {
		if word == "" || word == "." || word == ".." || len(word) > 128 {
			return false
		}
		for _, c := range []byte(word) {
			if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("._-@", c) >= 0) {
				return false
			}
		}
	}
	return true
}

// credential reads a token or a secret ID. It is read each time, so that it can be changed under way.
func credential(path string) (string, error) {
	if path == "" {
		return "", errors.New("no file is named")
	}
	b, err := wire.ReadSecret(path, maxCredential)
	if err != nil {
		return "", err
	}
	b = bytes.TrimSpace(b)
	for _, c := range b {
		if c <= ' ' || c >= 0x7f {
			return "", fmt.Errorf("%s: want it on one line, and nothing else", path)
		}
	}
	if len(b) == 0 {
		return "", fmt.Errorf("%s is empty", path)
	}
	return string(b), nil
}
