package sync

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tapline/broker/directory"
	"tapline/broker/ldap"
	"tapline/broker/vault"
)

func newDirectory(t testing.TB) directory.Directory {
	t.Helper()
	v, err := vault.New(make([]byte, vault.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return directory.Directory{Vault: v}
}

func mapped() Config {
	return Config{Map: Mapping{
		ID: "employeeNumber", Name: "displayName", Language: "preferredLanguage", Seniority: "seniority", Certifications: "certs",
		Roles: RoleMapping{Attribute: "title"}, Badges: []BadgeMapping{{Attribute: "badge"}, {Attribute: "uid", Format: "uid", Label: "key fob"}},
		Disabled: DisabledMapping{Attribute: "employeeType", Values: []string{"left"}},
	}}
}

// TestAnyEntryIsMappedOrItsFaultsAreNamed: whatever an entry holds, nothing panics; a fault names entry and attribute and shows no badge number; and
// who cannot be read as allowed to work is not.
func TestAnyEntryIsMappedOrItsFaultsAreNamed(t *testing.T) {
	d, now := newDirectory(t), time.Date(2026, 11, 25, 6, 0, 0, 0, time.UTC)
	attributes := []string{
		"objectGUID", "entryUUID", "employeeNumber", "displayName", "cn", "preferredLanguage", "seniority", "certs", "title", "badge", "uid", "employeeType",
		"userAccountControl", "accountExpires", "nsAccountLock", "pwdAccountLockedTime",
	}
	value := rapid.OneOf(
		rapid.SliceOfN(rapid.Byte(), 0, 40), rapid.Map(rapid.StringMatching(`[0-9A-F:]{0,20}|uid:[0-9a-f]{8}|[A-Z]{1,3}=20[0-9]{2}-[01][0-9]-[0-3][0-9]`), func(s string) []byte { return []byte(s) }),
		rapid.Map(rapid.Int64(), func(n int64) []byte { return fmt.Append(nil, n) }), rapid.Just([]byte("6ba7b810-9dad-11d1-80b4-00c04fd430c8")), rapid.Just(make([]byte, 16)),
	)
	rapid.Check(t, func(t *rapid.T) {
		values := map[string][][]byte{}
		for _, a := range attributes {
			if rapid.Bool().Draw(t, "has "+a) {
				values[a] = rapid.SliceOfN(value, 0, 3).Draw(t, a)
			}
		}
		m := mapper{cfg: mapped(), kind: rapid.SampledFrom([]ldap.Kind{ldap.AD, ldap.RFC4533, ldap.Other}).Draw(t, "kind"), directory: d}
		f, err := m.entry(ldap.NewEntry("cn=x,dc=y", values), now)
		if err != nil {
			if !strings.Contains(err.Error(), "cn=x,dc=y") && m.kind != ldap.AD {
				t.Fatalf("the error names no entry: %v", err)
			}
			return
		}
		read := 0
		for _, fault := range f.faults {
			if fault.Entry != "cn=x,dc=y" || fault.Attribute == "" || fault.What == "" {
				t.Fatalf("a fault that says too little: %+v", fault)
			}
			if fault.Attribute != "badge" && fault.Attribute != "uid" {
				continue
			}
			read++
			for _, v := range append(values["badge"], values["uid"]...) {
				if text := strings.TrimSpace(string(v)); len(text) > 6 && strings.Contains(fault.String(), text) {
					t.Fatalf("a fault shows a badge number: %s", fault)
				}
			}
		}
		if held := len(f.person.Badges) + read; held > len(values["badge"])+len(values["uid"]) {
			t.Fatalf("%d badges and faults of %d values", held, len(values["badge"])+len(values["uid"]))
		}
		uac := values["userAccountControl"]
		if len(uac) > 0 && len(uac[0]) > 0 && !f.person.Entry.GetSuspended() {
			var n int64
			if _, err := fmt.Sscan(string(uac[0]), &n); err != nil || n&2 != 0 {
				t.Fatalf("userAccountControl %q lets somebody work", uac[0])
			}
		}
	})
}

// TestGroupsWithinGroups: whoever can be reached from a group has its roles, and nobody else, loops or not.
func TestGroupsWithinGroups(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "groups")
		groups, wanted := map[string][]string{}, map[string][]string{}
		for g := range n {
			name := fmt.Sprintf("g%d", g)
			groups[name] = rapid.SliceOf(rapid.OneOf(
				rapid.Map(rapid.IntRange(0, n-1), func(i int) string { return fmt.Sprintf("g%d", i) }),
				rapid.Map(rapid.IntRange(0, 9), func(i int) string { return fmt.Sprintf("p%d", i) }),
			)).Draw(t, name)
			if rapid.Bool().Draw(t, "wanted "+name) {
				wanted[name] = []string{"role of " + name}
			}
		}
		got := closure(groups, wanted)
		var reach func(from string, person string, seen map[string]bool) bool
		reach = func(from, person string, seen map[string]bool) bool {
			if seen[from] {
				return false
			}
			seen[from] = true
			for _, m := range groups[from] {
				if m == person || strings.HasPrefix(m, "g") && reach(m, person, seen) {
					return true
				}
			}
			return false
		}
		for p := range 10 {
			person := fmt.Sprintf("p%d", p)
			for g := range wanted {
				has := false
				for _, r := range got[person] {
					has = has || r == "role of "+g
				}
				if want := reach(g, person, map[string]bool{}); has != want {
					t.Fatalf("%s by %s: %v, want %v", person, g, has, want)
				}
			}
		}
	})
}

func TestFaultsOfTheConfigurationAreNamedAtOnce(t *testing.T) {
	c := mapped()
	c.Servers, c.Base, c.Filter, c.GroupBase, c.Interval, c.Brake.Percent = []string{"x"}, "", "(cn=", "no name", time.Millisecond, 200
	c.Map.ID = "employee number"
	c.Map.Badges = append(c.Map.Badges, BadgeMapping{}, BadgeMapping{Attribute: "a", Format: "em4100", Assurance: "good"})
	c.Map.Roles.Groups = map[string][]string{"": {"x"}}
	told := ""
	for _, f := range c.Check() {
		told += f.Error() + "\n"
	}
	for _, key := range []string{
		"ldap.servers", "ldap.base", "ldap.filter", "ldap.group_base", "ldap.interval", "ldap.brake", "ldap.map.id", "ldap.map.badges[2]", "ldap.map.badges[3]: format",
		"ldap.map.badges[3]: assurance", "ldap.map.roles.groups",
	} {
		if !strings.Contains(told, key) {
			t.Errorf("nothing is said of %s in:\n%s", key, told)
		}
	}
}
