package ldap_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"tapline/broker/ldap"
)

func TestTimesOfDirectories(t *testing.T) {
	noon := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"20261125120000Z": noon, "202611251200Z": noon, "2026112512Z": noon, "20261125130000+0100": noon, "20261125090000.0-03": noon,
		"20261125120000.5Z": noon.Add(500 * time.Millisecond), "2026112511.5Z": noon.Add(-30 * time.Minute), "20261125120000,25Z": noon.Add(250 * time.Millisecond),
	} {
		if got, err := ldap.GeneralizedTime(text); err != nil || !got.Equal(want) {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "20261125120000", "20261325120000Z", "2026112512000Z", "20261125120000.Z", "20261125120000+1", "x0261125120000Z", "20261125120000.1e9Z"} {
		if got, err := ldap.GeneralizedTime(text); err == nil {
			t.Errorf("%q is taken for %s", text, got)
		}
	}
	for text, want := range map[string]time.Time{"0": {}, "9223372036854775807": {}, "134085024000000000": time.Date(2025, 11, 25, 0, 0, 0, 0, time.UTC)} {
		if got, err := ldap.FileTime(text); err != nil || !got.Equal(want) {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "-1", "never", "92233720368547758080"} {
		if got, err := ldap.FileTime(text); err == nil {
			t.Errorf("%q is taken for %s", text, got)
		}
	}
}

func TestIdentifiersOfActiveDirectory(t *testing.T) {
	id := uuid.MustParse("3f2504e0-4f89-11d3-9a0c-0305e82c3301")
	stored := []byte{0xe0, 0x04, 0x25, 0x3f, 0x89, 0x4f, 0xd3, 0x11, 0x9a, 0x0c, 0x03, 0x05, 0xe8, 0x2c, 0x33, 0x01}
	if got, err := ldap.GUID(stored); err != nil || got != id || string(ldap.GUIDBytes(id)) != string(stored) {
		t.Errorf("%s, %v", got, err)
	}
	sid, err := ldap.SID([]byte{1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 32, 2, 0, 0})
	if err != nil || sid != "S-1-5-32-544" {
		t.Errorf("%s, %v", sid, err)
	}
}

func TestNamesThatAreTheSame(t *testing.T) {
	for _, pair := range [][2]string{
		{"CN=Anna B.,OU=People,DC=plant,DC=lab", "cn=anna b.,ou=people,dc=plant,dc=lab"}, {"cn=a, dc=b", "cn=a,dc=b"}, {`cn=a\,b,dc=c`, `cn=a\2cb,dc=c`},
	} {
		one, err := ldap.NormalDN(pair[0])
		other, err2 := ldap.NormalDN(pair[1])
		if err != nil || err2 != nil || one != other {
			t.Errorf("%q: %q, %q (%v, %v)", pair, one, other, err, err2)
		}
	}
	if !ldap.Below("cn=a,OU=People,dc=b", "ou=people,DC=b") || !ldap.Below("dc=b", "dc=b") || ldap.Below("cn=a,ou=peoples,dc=b", "ou=people,dc=b") || ldap.Below("x", "y") {
		t.Error("what lies below what is mistaken")
	}
}

func TestFaultsOfAConfigurationAreNamedAtOnce(t *testing.T) {
	week := 31 * 24 * time.Hour
	c := ldap.Config{
		Servers: []string{"http://dc", "ldaps://", "ldap://u:p@dc", "ldaps://dc:0", "ldaps://dc/x"}, CAFile: "/nowhere/ca.pem", BindDN: "cn=x", Kind: "novell",
		Timeout: -1, ConnectTimeout: time.Hour, PageSize: 20_000, OldPasswordWindow: &week,
	}
	faults := c.Check("ldap")
	for _, want := range []string{"http://dc", "ldaps://\"", "u:p@dc", "dc:0", "dc/x", "ca_file", "bind_dn", "kind", "timeout", "connect_timeout", "page_size", "old_password_window"} {
		found := false
		for _, f := range faults {
			found = found || strings.Contains(f.Error(), want)
		}
		if !found {
			t.Errorf("nothing is said of %s in %v", want, faults)
		}
	}
	if got := (ldap.Config{Servers: []string{"ldaps://dc", "ldap://[::1]:1389"}}).Check("ldap"); got != nil {
		t.Errorf("a good one: %v", got)
	}
	if len((ldap.Config{Plain: true}).Warnings("ldap")) != 1 {
		t.Error("no warning of a line without TLS")
	}
}

// FuzzValues: no input makes a parser panic; what is read is in bounds and reads the same again.
func FuzzValues(f *testing.F) {
	for _, seed := range []string{"20261125120000Z", "134084592000000000", "cn=a,dc=b", "S-1-5", "(cn=a)", "\x01\x01\x00\x00\x00\x00\x00\x05\x20\x00\x00\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if at, err := ldap.GeneralizedTime(text); err == nil {
			if again, err := ldap.GeneralizedTime(at.Format("20060102150405Z")); err == nil && at.Sub(again).Abs() > time.Second {
				t.Errorf("%q: %s, then %s", text, at, again)
			}
		}
		if at, err := ldap.FileTime(text); err == nil && !at.IsZero() && at.Year() < 1601 {
			t.Errorf("%q: %s", text, at)
		}
		if dn, err := ldap.NormalDN(text); err == nil && len(dn) < 4096 {
			if again, err := ldap.NormalDN(dn); err != nil || again != dn {
				t.Errorf("%q: %q, then %q, %v", text, dn, again, err)
			}
			if !ldap.Below(dn, dn) {
				t.Errorf("%q is not below itself", dn)
			}
		}
		if sid, err := ldap.SID([]byte(text)); err == nil && !strings.HasPrefix(sid, "S-1-") {
			t.Errorf("%q: %q", text, sid)
		}
		if id, err := ldap.GUID([]byte(text)); err == nil && string(ldap.GUIDBytes(id)) != text {
			t.Errorf("%q: %s", text, id)
		}
		if err := ldap.CheckFilter("(cn=" + ldap.Escape(text) + ")"); err != nil && len(text) < 1000 {
			t.Errorf("%q is not escaped: %v", text, err)
		}
		_ = ldap.CheckFilter(text)
	})
}
