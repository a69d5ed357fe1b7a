package ldap

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/go-ldap/ldap/v3"

	"tapline/proto/wire"
)

// Config says which servers there are and how they are spoken to.
type Config struct {
	// Servers are URLs in the order of preference: ldaps://host[:636], or ldap://host[:389], which is raised to TLS by StartTLS.
	Servers []string `yaml:"servers"`
	// Plain takes TLS away from ldap:// servers. Passwords then cross the network in the clear.
	Plain bool `yaml:"plain"`
	// CAFile holds the certificates, in PEM, that the servers' certificates are checked with. Default: the machine's.
	CAFile string `yaml:"ca_file"`
	// BindDN is the account to read with; Active Directory also takes name@domain.
	BindDN string `yaml:"bind_dn"`
	// PasswordFile holds its password on one line. It is read at each connection, so that it can be changed under way.
	PasswordFile string `yaml:"password_file"`
	// ChangeBindDN and ChangePasswordFile are the account that changes passwords, so that the one that reads need not be able to. Default: the same.
	ChangeBindDN       string `yaml:"change_bind_dn"`
	ChangePasswordFile string `yaml:"change_password_file"`
	// Kind is the kind of server: ad, rfc4533 (OpenLDAP and its like), or plain for one that tells no changes. Default: what it says of itself.
	Kind Kind `yaml:"kind"`
	// Timeout bounds one answer: a page of a search, a bind, a change. Default 30 s.
	Timeout time.Duration `yaml:"timeout"`
	// ConnectTimeout bounds the connection to one server, TLS and bind included; then the next one is tried. Default 5 s.
	ConnectTimeout time.Duration `yaml:"connect_timeout"`
	// PageSize is how many entries are asked for at a time. Default 500.
	PageSize int `yaml:"page_size"`
	// OldPasswordWindow is how long the server goes on taking an old password after a change. Default: an hour for Active Directory and Samba
	// (their documented default), nothing for others.
	OldPasswordWindow *time.Duration `yaml:"old_password_window"`
}

// Kind is a kind of server.
type Kind string

// The kinds of server.
const (
	Auto    Kind = ""        // ask the server
	AD      Kind = "ad"      // Active Directory, Samba
	RFC4533 Kind = "rfc4533" // tells changes by RFC 4533: OpenLDAP, 389 Directory Server
	Other   Kind = "plain"   // tells no changes
)

const (
	defaultTimeout = 30 * time.Second
	defaultConnect = 5 * time.Second
	defaultPage    = 500
	maxPage        = 10_000
	maxServers     = 16
	maxPassword    = 1024
)

// filled is the configuration with its defaults.
func (c Config) filled() Config {
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = defaultConnect
	}
	if c.PageSize == 0 {
		c.PageSize = defaultPage
	}
	return c
}

// Check names every fault of the configuration at once; field is what its keys are called below, "ldap" say. It reads the files that are named, and
// asks no server.
func (c Config) Check(field string) []error {
	c = c.filled()
	var faults []error
	bad := func(key, format string, args ...any) {
		faults = append(faults, fmt.Errorf("%s.%s: %w", field, key, fmt.Errorf(format, args...)))
	}
	if len(c.Servers) == 0 || len(c.Servers) > maxServers {
		bad("servers", "want 1 to %d", maxServers)
	}
	for _, s := range c.Servers {
		if _, err := parseServer(s); err != nil {
			bad("servers", "%q: %w", s, err)
		}
	}
	for prefix, account := range map[string]Config{"": c, "change_": c.Changing()} {
		if (account.BindDN == "") != (account.PasswordFile == "") {
			bad(prefix+"bind_dn", "%sbind_dn and %spassword_file belong together", prefix, prefix)
		}
		if account.PasswordFile == "" || prefix != "" && c.ChangePasswordFile == "" {
			continue
		}
		if p, err := account.password(); err != nil {
			bad(prefix+"password_file", "%w", err)
		} else {
			clear(p)
		}
	}
	if _, err := wire.ReadRoots(c.CAFile); err != nil {
		bad("ca_file", "%w", err)
	}
	if !slices.Contains([]Kind{Auto, AD, RFC4533, Other}, c.Kind) {
		bad("kind", "%q: want ad, rfc4533 or plain, or nothing to ask the server", c.Kind)
	}
	if c.Timeout < 0 || c.Timeout > time.Hour {
		bad("timeout", "%s: want a time of up to an hour", c.Timeout)
	}
	if c.ConnectTimeout < 0 || c.ConnectTimeout > time.Minute {
		bad("connect_timeout", "%s: want a time of up to a minute", c.ConnectTimeout)
	}
	if c.PageSize < 1 || c.PageSize > maxPage {
		bad("page_size", "%d: want 1 to %d", c.PageSize, maxPage)
	}
	if w := c.OldPasswordWindow; w != nil && (*w < 0 || *w > 30*24*time.Hour) {
		bad("old_password_window", "%s: want a time of up to 30 days", *w)
	}
	return faults
}

// Changing is the configuration with the account that changes passwords.
func (c Config) Changing() Config {
	if c.ChangeBindDN != "" || c.ChangePasswordFile != "" {
		c.BindDN, c.PasswordFile = c.ChangeBindDN, c.ChangePasswordFile
	}
	return c
}

// Warnings are what is allowed and had better not be.
func (c Config) Warnings(field string) []string {
	if !c.Plain {
		return nil
	}
	return []string{field + ".plain: passwords and people cross the network unprotected; use ldaps:// or StartTLS"}
}

// server is one server.
type server struct {
	host    string
	address string // host:port
	tls     bool   // from the first byte
}

func (s server) String() string {
	if s.tls {
		return "ldaps://" + s.address
	}
	return "ldap://" + s.address
}

func parseServer(text string) (server, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/" {
		return server{}, errors.New("want ldaps://host[:port] or ldap://host[:port]")
	}
	s := server{host: u.Hostname(), tls: u.Scheme == "ldaps"}
	port := u.Port()
	switch {
	case u.Scheme != "ldap" && u.Scheme != "ldaps":
		return server{}, errors.New("want ldaps:// or ldap://")
	case port == "" && s.tls:
		port = ldap.DefaultLdapsPort
	case port == "":
		port = ldap.DefaultLdapPort
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return server{}, fmt.Errorf("port %q is none", port)
	}
	s.address = net.JoinHostPort(s.host, port)
	return s, nil
}

// password reads the password of the bind account. The caller clears it.
func (c Config) password() ([]byte, error) {
	b, err := wire.ReadSecret(c.PasswordFile, maxPassword)
	if err != nil {
		return nil, err
	}
	b = bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
	if len(b) == 0 || bytes.ContainsAny(b, "\r\n") {
		clear(b)
		return nil, fmt.Errorf("%s: want the password on one line", c.PasswordFile)
	}
	return b, nil
}

func (c Config) tlsFor(s server) (*tls.Config, error) {
	roots, err := wire.ReadRoots(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	return &tls.Config{RootCAs: roots, ServerName: s.host, MinVersion: tls.VersionTLS12}, nil
}
