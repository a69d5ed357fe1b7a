package sync

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/broker/badge"
	"tapline/broker/directory"
	"tapline/broker/ldap"
	"tapline/broker/roster"
	taplinev1 "tapline/proto/tapline/v1"
)

// Fault is something in an entry that cannot be taken over. It never shows a badge number.
type Fault struct {
	Person    string // the person's ID, if it is known
	Entry     string // distinguished name
	Attribute string
	What      string
}

// String is one line for a person.
func (f Fault) String() string {
	who := f.Entry
	if f.Person != "" {
		who = "person " + f.Person + " (" + f.Entry + ")"
	}
	return fmt.Sprintf("%s: %s: %s", who, f.Attribute, f.What)
}

// mapper makes a person of an entry. It does no I/O.
type mapper struct {
	cfg       Config
	kind      ldap.Kind
	directory directory.Directory
}

// found is what was made of an entry.
type found struct {
	key      uuid.UUID
	person   roster.Person // without roles from groups
	lapsesAt time.Time     // when the account expires; zero for never
	faults   []Fault
}

// keyAttribute is the attribute that an entry keeps for life.
func (m mapper) keyAttribute() string {
	if m.kind == ldap.AD {
		return "objectGUID"
	}
	return "entryUUID"
}

// filter is the filter that finds people.
func (m mapper) filter() string {
	switch {
	case m.cfg.Filter != "":
		return m.cfg.Filter
	case m.kind == ldap.AD:
		return "(&(objectCategory=person)(objectClass=user))" // else computers are people too
	}
	return "(objectClass=person)"
}

// attributes are all that is read of a person.
func (m mapper) attributes() []string {
	all := []string{m.keyAttribute(), "displayName", "cn", "userAccountControl", "accountExpires", "nsAccountLock", "pwdAccountLockedTime"}
	c := m.cfg.Map
	for _, a := range []string{c.ID, c.Name, c.Language, c.Seniority, c.Roles.Attribute, c.Certifications, c.Disabled.Attribute} {
		if a != "" {
			all = append(all, a)
		}
	}
	for _, b := range c.Badges {
		all = append(all, b.Attribute)
	}
	slices.SortFunc(all, func(a, b string) int { return cmp.Compare(strings.ToLower(a), strings.ToLower(b)) })
	return slices.CompactFunc(all, strings.EqualFold)
}

// fields are what the listing speaks of.
func (m mapper) fields() roster.Fields {
	c, f := m.cfg.Map, roster.DisplayName|roster.Suspended
	for field, mapped := range map[roster.Fields]bool{
		roster.Language: c.Language != "", roster.Seniority: c.Seniority != "", roster.Certifications: c.Certifications != "",
		roster.Roles: c.Roles.Attribute != "" || len(c.Roles.Groups) > 0, roster.Badges: len(c.Badges) > 0,
	} {
		if mapped {
			f |= field
		}
	}
	return f
}

// key reads the key of an entry.
func (m mapper) key(e ldap.Entry) (uuid.UUID, error) {
	values := e.Values(m.keyAttribute())
	if len(values) != 1 {
		return uuid.UUID{}, fmt.Errorf("%s: it has no %s", e.DN, m.keyAttribute())
	}
	if m.kind == ldap.AD {
		return ldap.GUID(values[0])
	}
	id, err := uuid.ParseBytes(values[0])
	if err != nil {
		return id, fmt.Errorf("%s: %s is none", e.DN, m.keyAttribute())
	}
	return id, nil
}

// entry makes a person of an entry. The error says that the entry cannot be known again, and so can be nobody.
func (m mapper) entry(e ldap.Entry, now time.Time) (found, error) {
	key, err := m.key(e)
	if err != nil {
		return found{}, err
	}
	f := found{key: key, person: roster.Person{Entry: &taplinev1.PersonEntry{}, At: e.DN}}
	p := f.person.Entry
	p.Id = m.id(&f, e)
	p.DisplayName = cmp.Or(tidy(e.Text(m.cfg.Map.Name)), tidy(e.Text("displayName")), tidy(e.Text("cn")))
	p.Language = e.Text(m.cfg.Map.Language)
	p.Roles = tidyAll(e.Texts(m.cfg.Map.Roles.Attribute))
	if text := e.Text(m.cfg.Map.Seniority); text != "" {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			f.fault(m.cfg.Map.Seniority, "not a number: %.40q", text)
		}
		p.Seniority = uint32(n)
	}
	m.certifications(&f, e)
	m.standing(&f, e, now)
	m.badges(&f, e)
	return f, nil
}

func (f *found) fault(attribute, format string, args ...any) {
	f.faults = append(f.faults, Fault{Person: f.person.Entry.GetId(), Entry: f.person.At, Attribute: attribute, What: fmt.Sprintf(format, args...)})
}

// id is the person's ID; empty, with a fault, if the entry has none.
func (m mapper) id(f *found, e ldap.Entry) string {
	name := m.cfg.Map.ID
	switch {
	case name == "" || strings.EqualFold(name, m.keyAttribute()):
		return f.key.String()
	case len(e.Values(name)) != 1:
		f.fault(name, "a person needs exactly one value, for the ID; it has %d", len(e.Values(name)))
		return ""
	case strings.EqualFold(name, "objectSid"):
		sid, err := ldap.SID(e.Values(name)[0])
		if err != nil {
			f.fault(name, "%v", err)
		}
		return sid
	}
	return strings.TrimSpace(e.Text(name))
}

// tidy makes a text one line.
func tidy(text string) string { return strings.Join(strings.Fields(text), " ") }

func tidyAll(texts []string) []string {
	var all []string
	for _, t := range texts {
		if t = tidy(t); t != "" {
			all = append(all, t)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (m mapper) certifications(f *found, e ldap.Entry) {
	name := m.cfg.Map.Certifications
	for _, text := range tidyAll(e.Texts(name)) {
		what, day, dated := strings.Cut(text, "=")
		c := &taplinev1.Certification{Name: strings.TrimSpace(what)}
		if dated {
			at, err := time.Parse(time.DateOnly, strings.TrimSpace(day))
			if err != nil {
				f.fault(name, "%.80q: want NAME or NAME=2027-01-31", text)
				continue // who cannot say until when is not certified
			}
			c.NotAfter = timestamppb.New(at.AddDate(0, 0, 1))
		}
		f.person.Entry.Certifications = append(f.person.Entry.Certifications, c)
	}
}

const (
	uacDisabled  = 0x2             // ADS_UF_ACCOUNTDISABLE
	lockedAlways = "000001010000Z" // pwdAccountLockedTime of an account that only an administrator unlocks (draft-behera, section 5.3.3)
)

// standing works out whether the person may work. What cannot be read counts against them.
func (m mapper) standing(f *found, e ldap.Entry, now time.Time) {
	p := f.person.Entry
	if text := e.Text("userAccountControl"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			f.fault("userAccountControl", "not a number: %.40q", text)
		}
		p.Suspended = err != nil || n&uacDisabled != 0
	}
	if text := e.Text("accountExpires"); text != "" {
		at, err := ldap.FileTime(text)
		if err != nil {
			f.fault("accountExpires", "%v", err)
			p.Suspended = true
		}
		if !at.IsZero() && !at.After(now) {
			p.Suspended = true
		} else {
			f.lapsesAt = at
		}
	}
	if strings.EqualFold(e.Text("nsAccountLock"), "true") || e.Text("pwdAccountLockedTime") == lockedAlways {
		p.Suspended = true
	}
	d := m.cfg.Map.Disabled
	for _, v := range e.Texts(d.Attribute) {
		if len(d.Values) == 0 || slices.ContainsFunc(d.Values, func(w string) bool { return strings.EqualFold(w, v) }) {
			p.Suspended = true
		}
	}
}

// badges reads the badge numbers. The value of one that cannot be read is not shown.
func (m mapper) badges(f *found, e ldap.Entry) {
	seen := map[string]bool{}
	for _, rule := range m.cfg.Map.Badges {
		for i, v := range e.Texts(rule.Attribute) {
			if strings.TrimSpace(v) == "" {
				continue
			}
			number, err := readNumber(rule.Format, v)
			if err == nil {
				rule.describe(number)
				var proof directory.Proof
				if proof, err = m.directory.ReadProof("badge", number); err == nil {
					if !seen[string(proof.Lookup)] {
						seen[string(proof.Lookup)] = true
						f.person.Badges = append(f.person.Badges, roster.Badge{Proof: proof, Label: cmp.Or(rule.Label, rule.Attribute), At: e.DN})
					}
					continue
				}
			}
			f.fault(rule.Attribute, "value %d: %v", i+1, err)
		}
	}
}

// describe says what such badges are.
func (b BadgeMapping) describe(p *taplinev1.BadgeProof) {
	if b.Technology != "" {
		p.Technology = b.Technology
	}
	if a, ok := assuranceOf(b.Assurance); ok && b.Assurance != "" {
		p.Assurance = a
	}
}

var errFormat = errors.New("the format is not known")

// readNumber reads a badge number. Its errors never show the number.
func readNumber(format, text string) (*taplinev1.BadgeProof, error) {
	if format == "" {
		return badge.Parse(text)
	}
	if format != "uid" && format != "text" && !slices.Contains(badge.Formats(), format) {
		return nil, errFormat
	}
	return badge.Parse(format + ":" + strings.TrimSpace(text))
}
