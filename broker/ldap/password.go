package ldap

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"
)

// SetPassword gives an account a new password, as an administrator does: change_bind_dn, or the account that reads, needs the right to it. account is a DN, or a name that is
// looked for (sAMAccountName, userPrincipalName or uid). Active Directory gets unicodePwd, others the Password Modify of RFC 3062. It is refused on
// a line without TLS. See OldPasswordWindow for how long the old one lives on.
//
// The error never holds the password. The caller clears new; the library's own copies are left to the garbage collector.
func (c *Client) SetPassword(ctx context.Context, account string, password []byte) error {
	if len(password) == 0 || len(password) > maxPassword {
		return fmt.Errorf("%w: want 1 to %d bytes", ErrPolicy, maxPassword)
	}
	if !utf8.Valid(password) {
		return fmt.Errorf("%w: not UTF-8", ErrPolicy)
	}
	s, err := c.changer().Open(ctx)
	if err != nil {
		return fmt.Errorf("set password of %s: %w", account, err)
	}
	defer s.Close()
	if err := s.setPassword(ctx, account, password); err != nil {
		return fmt.Errorf("set password of %s: %w", account, err)
	}
	return nil
}

func (s *Session) setPassword(ctx context.Context, account string, password []byte) error {
	if !s.secure {
		return fmt.Errorf("%w: the line has no TLS", ErrUntrusted)
	}
	dn, err := s.resolve(ctx, account)
	if err != nil {
		return err
	}
	return s.during(ctx, func() error {
		if s.facts.Kind == AD {
			m := ldap.NewModifyRequest(dn, nil)
			m.Replace("unicodePwd", []string{unicodePassword(password)})
			return s.conn.Modify(m)
		}
		if !s.facts.Modifies {
			return errors.New("the server does not take Password Modify (RFC 3062)")
		}
		_, err := s.conn.PasswordModify(ldap.NewPasswordModifyRequest(dn, "", string(password)))
		return err
	})
}

// unicodePassword is a password as Active Directory takes it: in quotes, UTF-16LE (MS-ADTS, section 3.1.1.3.1.5).
func unicodePassword(password []byte) string {
	units := utf16.Encode([]rune(`"` + string(password) + `"`))
	b := make([]byte, 0, 2*len(units))
	for _, u := range units {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return string(b)
}

// Verify says whether an account's password is right, by binding with it. ErrCredentials if it is not, ErrExpired if it has expired.
func (c *Client) Verify(ctx context.Context, account string, password []byte) error {
	s, err := c.Open(ctx)
	if err != nil {
		return fmt.Errorf("verify password of %s: %w", account, err)
	}
	defer s.Close()
	dn, err := s.resolve(ctx, account)
	if err != nil {
		return fmt.Errorf("verify password of %s: %w", account, err)
	}
	// On the same server as the look-up: others may not have heard of a change yet.
	inner, cancel := context.WithTimeout(ctx, c.cfg.ConnectTimeout)
	defer cancel()
	probe, err := c.connect(inner, s.server)
	if err != nil {
		return fmt.Errorf("verify password of %s: %w", account, err)
	}
	defer probe.Close()
	if !probe.secure {
		return fmt.Errorf("verify password of %s: %w: the line has no TLS", account, ErrUntrusted)
	}
	if err := probe.during(inner, func() error { return bindAs(probe.conn, dn, password) }); err != nil {
		return fmt.Errorf("verify password of %s: %w", account, err)
	}
	return nil
}

// resolve is the DN of an account.
func (s *Session) resolve(ctx context.Context, account string) (string, error) {
	if strings.Contains(account, "=") {
		if _, err := NormalDN(account); err != nil {
			return "", err
		}
		return account, nil
	}
	if account == "" || len(account) > 256 {
		return "", fmt.Errorf("%w: the account has no name", ErrNoEntry)
	}
	name := Escape(account)
	filter := "(uid=" + name + ")"
	if s.facts.Kind == AD {
		filter = "(&(objectClass=user)(|(sAMAccountName=" + name + ")(userPrincipalName=" + name + ")))"
	}
	e, err := s.Find(ctx, Query{Base: s.facts.Root, Filter: filter, Attributes: []string{"1.1"}})
	return e.DN, err
}

// Window is how long a server goes on taking an old password after a change.
type Window struct {
	For time.Duration
	// Source says how we know: "configured", or "documented" for the default that the makers of the server document. No server tells it over LDAP;
	// Verify with the old password shows what is so.
	Source string
}

// documentedWindow is "old password allowed period" of Samba, and OldPasswordAllowedPeriod of Active Directory, in their defaults.
const documentedWindow = time.Hour

// OldPasswordWindow says how long the server goes on taking the old password after SetPassword. A second change ends it at once: only the password
// before the present one is remembered.
func (c *Client) OldPasswordWindow(ctx context.Context) (Window, error) {
	if w := c.cfg.OldPasswordWindow; w != nil {
		return Window{*w, "configured"}, nil
	}
	kind := c.cfg.Kind
	if kind == Auto {
		s, err := c.Open(ctx)
		if err != nil {
			return Window{}, err
		}
		kind = s.facts.Kind
		s.Close()
	}
	if kind == AD {
		return Window{documentedWindow, "documented"}, nil
	}
	return Window{0, "documented"}, nil
}
