package ldap_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"tapline/broker/ldap"
	"tapline/broker/ldap/ldaptest"
)

func client(t *testing.T, c ldap.Config) *ldap.Client {
	t.Helper()
	made, err := ldap.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func session(t *testing.T, c ldap.Config) *ldap.Session {
	t.Helper()
	s, err := client(t, c).Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func addPerson(s *ldaptest.Slapd, uid string) string {
	dn := "uid=" + uid + ",ou=people," + s.Base
	s.Add(dn, ldaptest.Attrs{"objectClass": {"inetOrgPerson"}, "cn": {uid}, "sn": {uid}, "userPassword": {ldaptest.Password}})
	return dn
}

// TestSlapd shares one server among stories that leave it as they found it.
func TestSlapd(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	anna := addPerson(s, "anna")
	for says, story := range map[string]func(*testing.T){
		"StartTLS is used on ldap://":                  func(t *testing.T) { startTLS(t, s) },
		"a server that is not trusted gets no word":    func(t *testing.T) { wrongCA(t, s) },
		"a refused StartTLS ends the conversation":     func(t *testing.T) { stripped(t, s) },
		"the next server is asked when one is gone":    func(t *testing.T) { failOver(t, s) },
		"a wrong password is told as such, and once":   func(t *testing.T) { wrongPassword(t, s) },
		"a password is set, verified and gone at once": func(t *testing.T) { setPassword(t, s, anna) },
		"a filter finds names with any character":      func(t *testing.T) { hostileNames(t, s) },
		"a context ends a wait":                        func(t *testing.T) { ended(t, s) },
	} {
		t.Run(says, story)
	}
}

func startTLS(t *testing.T, s *ldaptest.Slapd) {
	c := s.Config
	c.Servers = []string{s.StartTLS}
	got := session(t, c).Facts()
	if got.Kind != ldap.RFC4533 || got.Root != s.Base || !got.Paging || !got.Modifies || !got.Watches() {
		t.Errorf("the server is told to be %+v", got)
	}
}

func wrongCA(t *testing.T, s *ldaptest.Slapd) {
	other := s.Config
	other.CAFile = ""
	for _, url := range []string{s.Config.Servers[0], s.StartTLS} {
		other.Servers = []string{url}
		if _, err := client(t, other).Open(t.Context()); !errors.Is(err, ldap.ErrUntrusted) {
			t.Errorf("%s: %v, want %v", url, err, ldap.ErrUntrusted)
		}
	}
}

// stripped puts somebody in between who says that there is no TLS.
func stripped(t *testing.T, _ *ldaptest.Slapd) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	heard := make(chan []byte, 1)
	var between sync.WaitGroup
	between.Go(func() { answer(l, heard) })
	defer between.Wait()
	c := ldap.Config{Servers: []string{"ldap://" + l.Addr().String()}, BindDN: "cn=reader", PasswordFile: ldaptest.File(t, t.TempDir(), "p", "geheim-4711")}
	_, err = client(t, c).Open(t.Context())
	if !errors.Is(err, ldap.ErrUntrusted) {
		t.Errorf("got %v, want %v", err, ldap.ErrUntrusted)
	}
	if said := string(<-heard); strings.Contains(said, "geheim") || strings.Contains(said, "reader") {
		t.Errorf("the account was said without TLS: %q", said)
	}
}

// answer takes one request and refuses it as an unknown extension (code 2), then hears what more is said.
func answer(l net.Listener, heard chan<- []byte) {
	conn, err := l.Accept()
	if err != nil {
		heard <- nil
		return
	}
	defer conn.Close()
	buf := make([]byte, 4096)
	n, _ := conn.Read(buf)
	_, _ = conn.Write([]byte{0x30, 0x0c, 0x02, 0x01, 0x01, 0x78, 0x07, 0x0a, 0x01, 0x02, 0x04, 0x00, 0x04, 0x00})
	_ = conn.SetReadDeadline(time.Now().Add(2 * time.Second))
	m, _ := conn.Read(buf[n:])
	heard <- buf[:n+m]
}

func failOver(t *testing.T, s *ldaptest.Slapd) {
	c := s.Config
	c.Servers = append([]string{"ldaps://127.0.0.1:1"}, c.Servers...)
	got := session(t, c)
	if got.Server() != s.Config.Servers[0] {
		t.Errorf("the session is with %s", got.Server())
	}
}

func wrongPassword(t *testing.T, s *ldaptest.Slapd) {
	c := s.Config
	c.PasswordFile = ldaptest.File(t, t.TempDir(), "p", "falsch-4711")
	c.Servers = append(c.Servers, "ldaps://127.0.0.1:1")
	_, err := client(t, c).Open(t.Context())
	if !errors.Is(err, ldap.ErrCredentials) || errors.Is(err, ldap.ErrUnavailable) || strings.Contains(err.Error(), "4711") {
		t.Errorf("got %v, want %v", err, ldap.ErrCredentials)
	}
}

func setPassword(t *testing.T, s *ldaptest.Slapd, anna string) {
	c := s.Config
	c.ChangeBindDN, c.ChangePasswordFile = "cn=admin,"+s.Base, c.PasswordFile
	admin := client(t, c)
	next := []byte("Ein-neues-Kennwort-ü")
	if err := admin.SetPassword(t.Context(), "anna", next); err != nil {
		t.Fatal(err)
	}
	if err := admin.Verify(t.Context(), anna, next); err != nil {
		t.Error(err)
	}
	if err := admin.Verify(t.Context(), "anna", []byte(ldaptest.Password)); !errors.Is(err, ldap.ErrCredentials) {
		t.Errorf("the old password: %v", err)
	}
	if err := admin.Verify(t.Context(), "anna", nil); !errors.Is(err, ldap.ErrCredentials) {
		t.Errorf("no password at all: %v", err)
	}
	if err := client(t, s.Config).SetPassword(t.Context(), anna, next); !errors.Is(err, ldap.ErrRights) {
		t.Errorf("by an account that only reads: %v", err)
	}
	if err := admin.SetPassword(t.Context(), "nobody", next); !errors.Is(err, ldap.ErrNoEntry) {
		t.Errorf("of nobody: %v", err)
	}
	w, err := admin.OldPasswordWindow(t.Context())
	if err != nil || w.For != 0 {
		t.Errorf("window %v, %v", w, err)
	}
	c.Servers, c.Plain = []string{s.StartTLS}, true
	if err := client(t, c).SetPassword(t.Context(), anna, next); !errors.Is(err, ldap.ErrUntrusted) {
		t.Errorf("without TLS: %v", err)
	}
}

func hostileNames(t *testing.T, s *ldaptest.Slapd) {
	open := session(t, s.Config)
	for _, name := range []string{"a*", "(b)", `c\2a`, "d)(uid=*", "ü\x01", "e "} {
		dn := "cn=x" + fmt.Sprintf("%x", name) + ",ou=people," + s.Base
		s.Add(dn, ldaptest.Attrs{"objectClass": {"inetOrgPerson"}, "sn": {"x"}, "description": {name}})
		e, err := open.Find(t.Context(), ldap.Query{Base: s.Base, Filter: "(description=" + ldap.Escape(name) + ")"})
		if err != nil || e.Text("description") != name {
			t.Errorf("%q: %v, %v", name, e, err)
		}
		s.Delete(dn)
	}
}

func ended(t *testing.T, s *ldaptest.Slapd) {
	ctx, cancel := context.WithCancel(t.Context())
	open, err := client(t, s.Config).Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	got := make(chan error, 1)
	var waiting sync.WaitGroup
	waiting.Go(func() { got <- open.Watch(ctx, s.Base, nil, cancel) }) // the first word ends it
	select {
	case err := <-got:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("it goes on waiting")
	}
}

func TestAServerThatHangsIsLeft(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	c := s.Config
	c.Timeout, c.ConnectTimeout = 300*time.Millisecond, 300*time.Millisecond
	open := session(t, c)
	s.Hang()
	begun := time.Now()
	_, err := open.Search(t.Context(), ldap.Query{Base: s.Base, Filter: "(objectClass=*)"}, func(ldap.Entry) error { return nil })
	if !errors.Is(err, ldap.ErrUnavailable) {
		t.Errorf("a search: %v", err)
	}
	if _, err := client(t, c).Open(t.Context()); !errors.Is(err, ldap.ErrUnavailable) {
		t.Errorf("a connection: %v", err)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	s.Resume()
}

func TestAnExpiredPasswordOfTheBindAccountIsToldAsSuch(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	s.Set("cn=policy,"+s.Base, "pwdMaxAge", "1")
	s.Set(ldaptest.SlapdReader, "userPassword", ldaptest.Password)
	ldaptest.Until(t, 10*time.Second, func() bool {
		_, err := client(t, s.Config).Open(t.Context())
		return errors.Is(err, ldap.ErrExpired)
	}, "the account goes on being taken")
}

func TestPagesGiveEveryEntryAndAReferralIsNotFollowed(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	const n = 250
	for i := range n {
		s.Add(fmt.Sprintf("cn=p%d,ou=people,%s", i, s.Base), ldaptest.Attrs{"objectClass": {"person"}, "sn": {"x"}})
	}
	s.Add("ou=elsewhere,"+s.Base, ldaptest.Attrs{"objectClass": {"referral", "extensibleObject"}, "ou": {"elsewhere"}, "ref": {"ldap://192.0.2.1/dc=other"}})
	c := s.Config
	c.BindDN, c.PageSize = ldaptest.SlapdLimited, 50
	seen := map[string]bool{}
	sum, err := session(t, c).Search(t.Context(), ldap.Query{Base: s.Base, Filter: "(objectClass=person)", Attributes: []string{"cn"}}, func(e ldap.Entry) error {
		seen[e.DN] = true
		return nil
	})
	if err != nil || len(seen) != n+2 || sum.Entries != n+2 || sum.Referrals != 1 {
		t.Errorf("%d entries, %+v, %v", len(seen), sum, err)
	}
	if _, err := session(t, c).Changes(t.Context(), s.Base, nil, nil); !errors.Is(err, ldap.ErrTooMuch) {
		t.Errorf("changes, beyond the server's limit: %v", err)
	}
	if _, err := session(t, c).Search(t.Context(), ldap.Query{Base: "dc=other", Filter: "(objectClass=*)"}, nil); !errors.Is(err, ldap.ErrNoEntry) {
		t.Errorf("another base: %v", err)
	}
	if _, err := session(t, c).Search(t.Context(), ldap.Query{Base: "ou=elsewhere," + s.Base, Filter: "(objectClass=*)"}, nil); !errors.Is(err, ldap.ErrReferral) {
		t.Errorf("a base that is a referral: %v", err)
	}
}

func TestChangesOfSlapd(t *testing.T) {
	for says, o := range map[string]ldaptest.SlapdOptions{
		"a server with a session log names what is gone": {}, "one without names what is there": {NoSessionLog: true},
	} {
		t.Run(says, func(t *testing.T) {
			s := ldaptest.StartSlapd(t, o)
			anna, ben, carl := addPerson(s, "anna"), addPerson(s, "ben"), addPerson(s, "carl")
			key := map[string]uuid.UUID{}
			for _, dn := range []string{anna, ben, carl} {
				key[dn] = uuid.MustParse(s.Read(dn, "entryUUID"))
			}
			people := "ou=people," + s.Base
			open := session(t, s.Config)
			first, err := open.Changes(t.Context(), people, nil, nil)
			if err != nil || len(first.List) != 4 {
				t.Fatalf("%+v, %v", first, err)
			}
			none, err := open.Changes(t.Context(), people, nil, first.Cookie)
			if err != nil || len(none.List) != 0 || gone(none, key[anna]) {
				t.Errorf("nothing changed: %+v, %v", none, err)
			}
			s.Set(anna, "sn", "other")
			s.Delete(ben)
			s.Move(carl, "uid=carl", "ou=left,"+s.Base)
			then, err := open.Changes(t.Context(), people, nil, first.Cookie)
			if err != nil || gone(then, key[anna]) || !gone(then, key[ben]) || !gone(then, key[carl]) {
				t.Errorf("%+v, %v", then, err)
			}
			all, err := open.Changes(t.Context(), people, nil, []byte("rid=000,csn=nonsense"))
			if err != nil || len(all.List) != 2 { // it does not say so, but everything comes
				t.Errorf("a cookie of nonsense: %+v, %v", all, err)
			}
			if _, err := open.Changes(t.Context(), people, nil, []byte("rid=000,csn=20991231235959.000000Z#000000#000#000000")); !errors.Is(err, ldap.ErrCookie) {
				t.Errorf("a cookie of a server that knows more: %v", err)
			}
		})
	}
}

// gone says whether changes tell that an entry is gone.
func gone(c ldap.Changes, key uuid.UUID) bool {
	for _, change := range c.List {
		if change.Key == key {
			return change.Gone
		}
	}
	return c.Present != nil && !c.Present[key]
}

func TestAPasswordFileThatOthersMayReadIsAFault(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p")
	if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := ldap.Config{Servers: []string{"ldaps://dc"}, BindDN: "cn=x", PasswordFile: path}
	c.ChangeBindDN = "cn=y"
	if faults := c.Check("ldap"); len(faults) != 2 {
		t.Errorf("and an account without a password: %v", faults)
	}
	c.ChangeBindDN = ""
	faults := c.Check("ldap")
	if len(faults) != 1 || !strings.Contains(faults[0].Error(), "chmod 600") || !strings.Contains(faults[0].Error(), "ldap.password_file") {
		t.Errorf("%v", faults)
	}
}
