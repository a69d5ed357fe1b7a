package wire

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Role is what the holder of a certificate is to the broker.
type Role string

// The roles a certificate can name.
const (
	RoleStation Role = "station"
	RoleBroker  Role = "broker"
	// What a person who calls the broker may be: an officer in one role.
	RoleAdmin      Role = "admin"      // everything
	RoleSecurity   Role = "security"   // policy, roles, revocation, alarms, audit
	RoleSupervisor Role = "supervisor" // the help desk's, visits, leases, alarms
	RoleHelpdesk   Role = "helpdesk"   // badges, PINs, help codes
	RoleAuditor    Role = "auditor"    // reads
)

// OfficerRoles are the roles of people, the one that may most first.
func OfficerRoles() []Role {
	return []Role{RoleAdmin, RoleSecurity, RoleSupervisor, RoleHelpdesk, RoleAuditor}
}

// Officer reports whether the role is one of people.
func (r Role) Officer() bool { return slices.Contains(OfficerRoles(), r) }

// Subject is who a certificate names, in its one URI SAN: spiffe://<site>/<role>/<name> (SPIFFE-ID, section 2). A station's name
// keeps the slashes of its ISA-95 levels.
type Subject struct {
	Site string
	Role Role
	Name string
}

// URI is the subject as it stands in a certificate.
func (s Subject) URI() *url.URL {
	return &url.URL{Scheme: "spiffe", Host: s.Site, Path: "/" + string(s.Role) + "/" + s.Name}
}

// String is the subject's URI.
func (s Subject) String() string { return s.URI().String() }

// SubjectOf reads the subject of a certificate. Exactly one URI SAN must be there.
func SubjectOf(cert *x509.Certificate) (Subject, error) {
	if len(cert.URIs) != 1 {
		return Subject{}, fmt.Errorf("certificate %x has %d URI names, want 1", cert.SerialNumber, len(cert.URIs))
	}
	u := cert.URIs[0]
	role, name, ok := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	if u.Scheme != "spiffe" || u.Host == "" || !ok || name == "" {
		return Subject{}, fmt.Errorf("certificate %x names %q, want spiffe://SITE/ROLE/NAME", cert.SerialNumber, u)
	}
	if r := Role(role); r == RoleStation || r == RoleBroker || r.Officer() {
		return Subject{Site: u.Host, Role: r, Name: name}, nil
	}
	return Subject{}, fmt.Errorf("certificate %x names the unknown role %q", cert.SerialNumber, role)
}
