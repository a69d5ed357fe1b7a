package ldap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// Session is a connection that is bound. It is for one goroutine; Close it.
type Session struct {
	cfg    Config
	server server
	line   *meter
	conn   *ldap.Conn
	secure bool
	facts  Facts
}

// Facts are what a server says of itself.
type Facts struct {
	Kind     Kind
	Vendor   string
	Root     string   // the naming context that people are looked for in by default
	Contexts []string // all naming contexts
	Notifies bool     // Active Directory: tells by itself that something changed
	Modifies bool     // takes Password Modify (RFC 3062)
	Paging   bool
}

// Facts are what the session's server said of itself.
func (s *Session) Facts() Facts { return s.facts }

// Server is the URL of the session's server.
func (s *Session) Server() string { return s.server.String() }

// Close ends the session. The line goes first: the library waits for a writer that may hang.
func (s *Session) Close() {
	_ = s.line.Close()
	_ = s.conn.Close()
}

// during runs do and cuts the line when ctx ends, because the library knows no context.
func (s *Session) during(ctx context.Context, do func() error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	cut := context.AfterFunc(ctx, func() { _ = s.line.Close() })
	err := do()
	cut()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
	case s.line.over.Load():
		return fmt.Errorf("%w: more than %d MiB in one piece", ErrTooMuch, maxUnread>>20)
	}
	var own *ownFault
	var answer *ldap.Error
	switch {
	case errors.As(err, &own):
		return own.error
	case !errors.As(err, &answer) && s.conn.IsClosing():
		return fmt.Errorf("%w: %w", ErrUnavailable, err) // the library's own words for a line that broke
	}
	return explain(err)
}

// ownFault is an error of whoever takes results, as against one of the line.
type ownFault struct{ error }

func (s *Session) bind() error {
	if s.cfg.BindDN == "" {
		return nil // anonymous
	}
	password, err := s.cfg.password()
	if err != nil {
		return fmt.Errorf("password_file: %w", err)
	}
	defer clear(password)
	if err := bindAs(s.conn, s.cfg.BindDN, password); err != nil {
		return fmt.Errorf("bind as %s: %w", s.cfg.BindDN, err)
	}
	return nil
}

// bindAs binds, and tells a password that has expired from one that is wrong where the server does (password policy, draft-behera).
func bindAs(conn *ldap.Conn, dn string, password []byte) error {
	if dn == "" || len(password) == 0 {
		return fmt.Errorf("%w: no name or no password", ErrCredentials) // a server would take it for an anonymous bind, and say yes
	}
	result, err := conn.SimpleBind(&ldap.SimpleBindRequest{
		Username: dn, Password: string(password), Controls: []ldap.Control{ldap.NewControlBeheraPasswordPolicy()},
	})
	if result != nil {
		c, ok := ldap.FindControl(result.Controls, ldap.ControlTypeBeheraPasswordPolicy).(*ldap.ControlBeheraPasswordPolicy)
		if ok && (c.Error == 0 || c.Error == 2) { // expired; must be changed first
			return fmt.Errorf("%w (%s)", ErrExpired, c.ErrorString)
		}
	}
	return explain(err)
}

const (
	capabilityAD    = "1.2.840.113556.1.4.800"
	controlDirSync  = ldap.ControlTypeDirSync
	controlNotify   = ldap.ControlTypeMicrosoftNotification
	controlSync     = ldap.ControlTypeSyncRequest
	extensionModify = "1.3.6.1.4.1.4203.1.11.1"
)

// ask reads the root DSE (RFC 4512, section 5.1).
func (s *Session) ask() error {
	r, err := s.conn.Search(ldap.NewSearchRequest("", ldap.ScopeBaseObject, ldap.NeverDerefAliases, 1, 0, false, "(objectClass=*)", []string{
		"defaultNamingContext", "namingContexts", "supportedControl", "supportedExtension", "supportedCapabilities", "vendorName",
	}, nil))
	if err != nil {
		return fmt.Errorf("ask the server what it can do: %w", explain(err))
	}
	s.line.taken()
	if len(r.Entries) != 1 {
		return errors.New("the server does not say what it can do (no root DSE)")
	}
	s.facts = factsOf(entryOf(r.Entries[0]))
	if s.cfg.Kind != Auto {
		s.facts.Kind = s.cfg.Kind
	}
	return nil
}

func factsOf(root Entry) Facts {
	controls, capabilities := root.Texts("supportedControl"), root.Texts("supportedCapabilities")
	f := Facts{
		Kind: Other, Vendor: root.Text("vendorName"), Contexts: root.Texts("namingContexts"), Root: root.Text("defaultNamingContext"),
		Notifies: slices.Contains(controls, controlNotify), Paging: slices.Contains(controls, ldap.ControlTypePaging),
		Modifies: slices.Contains(root.Texts("supportedExtension"), extensionModify),
	}
	switch {
	case slices.Contains(capabilities, capabilityAD) && slices.Contains(controls, controlDirSync):
		f.Kind = AD
	case slices.Contains(controls, controlSync):
		f.Kind = RFC4533
	}
	if f.Root == "" && len(f.Contexts) > 0 {
		f.Root = f.Contexts[0]
	}
	return f
}

// Entry is an entry of the directory. Attribute names are compared without regard to case.
type Entry struct {
	DN     string
	values map[string][][]byte
}

// NewEntry makes an entry, for tests of what is done with one.
func NewEntry(dn string, values map[string][][]byte) Entry {
	e := Entry{DN: dn, values: map[string][][]byte{}}
	for name, v := range values {
		e.values[strings.ToLower(name)] = v
	}
	return e
}

func entryOf(from *ldap.Entry) Entry {
	e := Entry{DN: from.DN, values: make(map[string][][]byte, len(from.Attributes))}
	for _, a := range from.Attributes {
		e.values[strings.ToLower(a.Name)] = a.ByteValues
	}
	return e
}

// Values are the values of an attribute.
func (e Entry) Values(name string) [][]byte { return e.values[strings.ToLower(name)] }

// Texts are the values of an attribute as text.
func (e Entry) Texts(name string) []string {
	var all []string
	for _, v := range e.Values(name) {
		all = append(all, string(v))
	}
	return all
}

// Text is the first value of an attribute as text; empty if there is none.
func (e Entry) Text(name string) string {
	if v := e.Values(name); len(v) > 0 {
		return string(v[0])
	}
	return ""
}

// Names are the names of the attributes that came, in small letters.
func (e Entry) Names() []string {
	all := make([]string, 0, len(e.values))
	for n := range e.values {
		all = append(all, n)
	}
	slices.Sort(all)
	return all
}
