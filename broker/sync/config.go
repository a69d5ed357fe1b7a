package sync

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tapline/broker/ldap"
	"tapline/broker/roster"
	taplinev1 "tapline/proto/tapline/v1"
)

// Config is the key "ldap" of the broker's configuration.
type Config struct {
	ldap.Config `yaml:",inline"`
	// Base is where people are looked for, the whole subtree.
	Base string `yaml:"base"`
	// Filter says who of them is to be a person here.
	Filter string `yaml:"filter"`
	// GroupBase is where groups are looked for, on servers that cannot be asked for members of members. Default: the naming context.
	GroupBase string `yaml:"group_base"`
	// Interval is how often changes are asked for; where the server tells none, everything is read. Default 1 min, and 15 min.
	Interval time.Duration `yaml:"interval"`
	// FullInterval is how often everything is read although the server tells changes. Default 1 h.
	FullInterval time.Duration `yaml:"full_interval"`
	// NoWatch leaves the line on which the server calls when something changes.
	NoWatch bool        `yaml:"no_watch"`
	Brake   BrakeConfig `yaml:"brake"`
	Map     Mapping     `yaml:"map"`
}

// BrakeConfig says how many people may lose their access at once; see roster.Brake. Default: 100 people and 10 %, 5 always.
type BrakeConfig struct {
	People  int `yaml:"people"`
	Percent int `yaml:"percent"`
	Free    int `yaml:"free"`
}

// Mapping says which attribute is what.
type Mapping struct {
	// ID is the attribute with a person's stable ID. Default: objectGUID or entryUUID. The ID stays what it was when the entry was first seen.
	ID string `yaml:"id"`
	// Name is what the panel shows. Default: displayName, else cn.
	Name string `yaml:"name"`
	// Language is a BCP 47 tag; empty for none.
	Language string `yaml:"language"`
	// Seniority is a number.
	Seniority string `yaml:"seniority"`
	// Roles come from an attribute with role names, from groups, or both.
	Roles RoleMapping `yaml:"roles"`
	// Certifications is an attribute with values NAME or NAME=2027-01-31, the last day.
	Certifications string `yaml:"certifications"`
	// Badges are attributes with badge numbers.
	Badges []BadgeMapping `yaml:"badges"`
	// Disabled says who may not work, beside what servers have for it (userAccountControl, accountExpires, nsAccountLock, pwdAccountLockedTime).
	Disabled DisabledMapping `yaml:"disabled"`
}

// RoleMapping says where roles come from.
type RoleMapping struct {
	Attribute string `yaml:"attribute"`
	// Groups names the groups of each role by their distinguished names. Members of members count.
	Groups map[string][]string `yaml:"groups"`
}

// BadgeMapping is an attribute with badge numbers, one a value.
type BadgeMapping struct {
	Attribute string `yaml:"attribute"`
	// Format is put before a value: uid, text, h10301 and so on ("tapctl badge assign --help" lists them). Empty where values have it themselves.
	Format string `yaml:"format"`
	// Technology and Assurance are what such badges are, where the format does not say it: iso14443a and chip-uid, say.
	Technology string `yaml:"technology"`
	Assurance  string `yaml:"assurance"`
	// Label is what the badge is called here. Default: the attribute.
	Label string `yaml:"label"`
}

// DisabledMapping is an attribute and the values by which somebody may not work; no values stand for any value.
type DisabledMapping struct {
	Attribute string   `yaml:"attribute"`
	Values    []string `yaml:"values"`
}

const (
	defaultInterval = time.Minute
	defaultSlow     = 15 * time.Minute // where everything is read each time
	defaultFull     = time.Hour
	maxBadgeRules   = 16
	maxRoleGroups   = 256
)

// Check names every fault at once. It asks no server.
func (c Config) Check() []error {
	faults := c.Config.Check("ldap")
	bad := func(key, format string, args ...any) {
		faults = append(faults, fmt.Errorf("ldap.%s: %w", key, fmt.Errorf(format, args...)))
	}
	if _, err := ldap.NormalDN(c.Base); err != nil || c.Base == "" {
		bad("base", "want the distinguished name that people are below, such as OU=People,DC=plant,DC=example")
	}
	if err := ldap.CheckFilter(c.Filter); c.Filter != "" && err != nil {
		bad("filter", "%w; an example: (&(objectClass=person)(employeeNumber=*))", err)
	}
	if _, err := ldap.NormalDN(c.GroupBase); err != nil {
		bad("group_base", "%w", err)
	}
	for key, d := range map[string]time.Duration{"interval": c.Interval, "full_interval": c.FullInterval} {
		if d != 0 && (d < time.Second || d > 7*24*time.Hour) {
			bad(key, "%s: want 1s to 168h", d)
		}
	}
	if b := c.Brake; b.People < 0 || b.Free < 0 || b.Percent < 0 || b.Percent > 100 {
		bad("brake", "want numbers above 0, percent up to 100")
	}
	return append(faults, c.Map.check()...)
}

func (m Mapping) check() []error {
	var faults []error
	bad := func(key, format string, args ...any) {
		faults = append(faults, fmt.Errorf("ldap.map.%s: %w", key, fmt.Errorf(format, args...)))
	}
	attribute := func(key, name string) {
		if name != "" && !goodAttribute(name) {
			bad(key, "%q is no attribute", name)
		}
	}
	attribute("id", m.ID)
	attribute("name", m.Name)
	attribute("language", m.Language)
	attribute("seniority", m.Seniority)
	attribute("certifications", m.Certifications)
	attribute("roles.attribute", m.Roles.Attribute)
	attribute("disabled.attribute", m.Disabled.Attribute)
	if m.Disabled.Attribute == "" && len(m.Disabled.Values) > 0 {
		bad("disabled", "values without an attribute")
	}
	if len(m.Badges) > maxBadgeRules {
		bad("badges", "more than %d", maxBadgeRules)
	}
	for i, b := range m.Badges {
		key := fmt.Sprintf("badges[%d]", i)
		if b.Attribute == "" {
			bad(key, "attribute is missing")
		}
		attribute(key, b.Attribute)
		if _, err := readNumber(b.Format, ""); errors.Is(err, errFormat) {
			bad(key, "format %q is not known", b.Format)
		}
		if len(b.Label) > 64 || len(b.Technology) > 64 {
			bad(key, "label, technology: at most 64 characters")
		}
		if _, ok := assuranceOf(b.Assurance); !ok {
			bad(key, "assurance %q: want one of chip-uid, reader-vouches, symmetric-proof, public-key-proof", b.Assurance)
		}
	}
	groups := 0
	for role, names := range m.Roles.Groups {
		groups += len(names)
		if role == "" || len(role) > 64 {
			bad("roles.groups", "%q: a role has 1 to 64 characters", role)
		}
		for _, dn := range names {
			if _, err := ldap.NormalDN(dn); err != nil || dn == "" {
				bad("roles.groups", "%s: %q is no distinguished name", role, dn)
			}
		}
	}
	if groups > maxRoleGroups {
		bad("roles.groups", "more than %d groups", maxRoleGroups)
	}
	return faults
}

// assuranceOf reads an assurance; nothing stands for what the format gives.
func assuranceOf(word string) (taplinev1.Assurance, bool) {
	v, ok := taplinev1.Assurance_value["ASSURANCE_"+strings.ToUpper(strings.ReplaceAll(word, "-", "_"))]
	return taplinev1.Assurance(v), ok || word == ""
}

// goodAttribute reports whether name is an attribute description (RFC 4512, section 2.5).
func goodAttribute(name string) bool {
	return len(name) <= 128 && strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789-.;") == ""
}

// brake is the brake for the roster.
func (c Config) brake() roster.Brake {
	b := roster.Brake(c.Brake)
	if b == (roster.Brake{}) {
		return b
	}
	d := roster.DefaultBrake()
	if b.People == 0 {
		b.People = d.People
	}
	if b.Percent == 0 {
		b.Percent = d.Percent
	}
	return b
}

// roleGroups are all groups that give a role, in the form that is compared, each with its roles.
func (c Config) roleGroups() map[string][]string {
	roles := map[string][]string{}
	for role, names := range c.Map.Roles.Groups {
		for _, dn := range names {
			if n, err := ldap.NormalDN(dn); err == nil && !slices.Contains(roles[n], role) {
				roles[n] = append(roles[n], role)
			}
		}
	}
	return roles
}
