package login

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"

	"tapline/proto/wire"
)

// Config is the key "oidc" of the broker's configuration.
type Config struct {
	// Issuer is the issuer's URL, letter for letter as it stands in its tokens.
	Issuer string `yaml:"issuer"`
	// ClientID is the public client with the device flow that the issuer knows tapctl as.
	ClientID string `yaml:"client_id"`
	// Audience must be among a token's. Default: the client's ID.
	Audience string `yaml:"audience"`
	// Scopes are what tapctl asks for. Default: openid, profile, email.
	Scopes []string `yaml:"scopes"`
	// NameClaim is the claim with the name under which acts are recorded. Default: preferred_username, and email where there is none.
	NameClaim string `yaml:"name_claim"`
	// GroupsClaim is the claim with a person's groups; a.b stands for b within a. Default: groups.
	GroupsClaim string `yaml:"groups_claim"`
	// Roles gives each group its role: admin, security, supervisor, helpdesk or auditor. Of several the one that may most counts.
	Roles map[string]wire.Role `yaml:"roles"`
	// CAFile holds the roots, PEM, that the issuer's certificate leads to; tapctl is told them. Default: those of the system.
	CAFile string `yaml:"ca_file"`
}

// What holds where the configuration says nothing.
const (
	defaultGroups = "groups"
	usualName     = "preferred_username"
	emailName     = "email"
)

// maxRoots bounds what goes out with every GetLogin.
const maxRoots = 256 << 10

func (c Config) audience() string { return cmp.Or(c.Audience, c.ClientID) }

func (c Config) groupsClaim() string { return cmp.Or(c.GroupsClaim, defaultGroups) }

func (c Config) scopes() []string {
	if len(c.Scopes) == 0 {
		return []string{"openid", "profile", "email"}
	}
	return c.Scopes
}

// Check names every fault at once. It reads ca_file and asks nobody.
func (c Config) Check() []error {
	var faults []error
	bad := func(key, format string, args ...any) {
		faults = append(faults, fmt.Errorf("oidc.%s: %w", key, fmt.Errorf(format, args...)))
	}
	if err := checkIssuer(c.Issuer); err != nil {
		bad("issuer", "%w", err)
	}
	if c.ClientID == "" {
		bad("client_id", "want the ID of the public client that the issuer has for tapctl")
	}
	if !slices.Contains(c.scopes(), "openid") {
		bad("scopes", "want openid among them: without it there is no ID token")
	}
	for _, s := range c.Scopes {
		if s == "" || strings.ContainsAny(s, " \t\n\"\\") {
			bad("scopes", "%q is not a scope", s)
		}
	}
	if len(c.Roles) == 0 {
		bad("roles", "want at least one group and its role, such as plant-admins: admin")
	}
	for _, group := range slices.Sorted(maps.Keys(c.Roles)) {
		if role := c.Roles[group]; group == "" || !role.Officer() {
			bad("roles", "%s: %q: want admin, security, supervisor, helpdesk or auditor", group, role)
		}
	}
	if _, _, err := c.roots(); err != nil {
		bad("ca_file", "%w", err)
	}
	return faults
}

// checkIssuer holds a URL against OpenID Connect Discovery 1.0, section 3. Plain HTTP is for an issuer on this machine.
func checkIssuer(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return errors.New("want the issuer's URL, such as https://login.plant.example/realms/plant")
	}
	ip := net.ParseIP(u.Hostname())
	if local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback(); u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return fmt.Errorf("%s: want https", s)
	}
	return nil
}

// roots are those of ca_file, nil for the system's.
func (c Config) roots() (*x509.CertPool, []byte, error) {
	if c.CAFile == "" {
		return nil, nil, nil
	}
	b, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, nil, err
	}
	if len(b) > maxRoots {
		return nil, nil, fmt.Errorf("%s has %d bytes, at most %d", c.CAFile, len(b), maxRoots)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, nil, fmt.Errorf("%s holds no certificate in PEM", c.CAFile)
	}
	return pool, b, nil
}
