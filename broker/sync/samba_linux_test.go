package sync_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"tapline/broker/ldap/ldaptest"
	"tapline/broker/sync"
)

func fullSuite(t *testing.T) {
	t.Helper()
	if os.Getenv("TAPLINE_SUITE") == "quick" {
		t.Skip("needs: full suite")
	}
}

// realm is a Samba domain with people.
type realm struct{ *ldaptest.Samba }

func (s realm) dn(name string) string    { return "CN=" + name + ",OU=people," + s.Base }
func (s realm) group(name string) string { return "CN=" + name + ",OU=groups," + s.Base }

func (s realm) hire(name, id, badge string) {
	s.AddUser(s.dn(name), strings.ToLower(name), "Erstes-kennwort-1", ldaptest.Attrs{"employeeID": {id}, "displayName": {name + " X."}, "pager": {badge}})
}

func (s realm) config() sync.Config {
	return sync.Config{
		Config: s.AdminConfig(), Base: "OU=people," + s.Base,
		Map: sync.Mapping{
			ID: "employeeID", Badges: []sync.BadgeMapping{{Attribute: "pager", Format: "uid"}},
			Roles: sync.RoleMapping{Groups: map[string][]string{"operator": {s.group("outer")}}},
		},
	}
}

// TestPeopleAreAsActiveDirectoryHasThem tells its stories on one domain: making it takes seconds.
func TestPeopleAreAsActiveDirectoryHasThem(t *testing.T) {
	fullSuite(t)
	s := realm{ldaptest.StartSamba(t)}
	s.hire("Anna", "p-1", "04A1B2C3")
	s.hire("Ben", "p-2", "04D4E5F6")
	s.hire("Carl", "p-3", "04000003")
	s.Add(s.group("inner"), ldaptest.Attrs{"objectClass": {"group"}, "sAMAccountName": {"inner"}, "member": {s.dn("Anna")}})
	s.Add(s.group("outer"), ldaptest.Attrs{"objectClass": {"group"}, "sAMAccountName": {"outer"}, "member": {s.group("inner")}})
	s.Set(s.group("inner"), "member", s.dn("Anna"), s.group("outer")) // a loop
	t.Run("with the right to replicate", func(t *testing.T) { sambaStory(t, s) })
	t.Run("as a plain user", func(t *testing.T) { plainStory(t, s) })
	t.Run("called", func(t *testing.T) { calledStory(t, s) })
}

func sambaStory(t *testing.T, s realm) {
	p := newPlant(t, s.config())
	r := p.full()
	p.expect("three join", r.Full && r.Outcome.Added == 3 && r.State.FaultCount == 0 && r.State.Kind == "ad" && r.State.Changes == "called")
	p.expect("with badge and role of a group in a group", p.holder(annasUID) == "p-1" && p.roles("p-1") == "operator" && p.roles("p-2") == "")
	r = p.next()
	p.expect("nothing changed", !r.Full && len(r.Outcome.Changes) == 0)

	s.Set(s.group("inner"), "member", s.dn("Ben"))
	r = p.next()
	p.expect("a nested group takes and gives a role", !r.Full && p.roles("p-1") == "" && p.roles("p-2") == "operator")
	s.Move(s.dn("Anna"), "CN=Anna B.", "")
	s.Set(s.dn("Anna B."), "displayName", "Anna B.")
	r = p.next()
	p.expect("who is renamed stays who they are", !r.Full && r.Outcome.Changed == 1 && p.person("p-1").GetDisplayName() == "Anna B.")
	s.Set(s.dn("Anna B."), "pager", "04D4E5F6")
	s.Set(s.dn("Ben"), "pager", "04A1B2C3")
	r = p.next()
	p.expect("two swap their badges", !r.Full && r.State.FaultCount == 0 && p.holder(bensUID) == "p-1" && p.holder(annasUID) == "p-2")

	s.Set(s.dn("Ben"), "userAccountControl", "514")
	p.next()
	p.expect("who is disabled is suspended", p.person("p-2").GetSuspended() && p.holder(annasUID) == "")
	s.Set(s.dn("Ben"), "userAccountControl", "512")
	p.next()
	p.expect("and enabled again", p.holder(annasUID) == "p-2")

	soon := time.Now().Add(10 * time.Minute)
	s.Set(s.dn("Ben"), "accountExpires", strconv.FormatInt((soon.Unix()+11_644_473_600)*10_000_000, 10))
	p.next()
	p.expect("an account that expires soon is good", p.holder(annasUID) == "p-2")
	p.ahead = 11 * time.Minute
	r = p.next()
	p.expect("and expires without any change there", !r.Full && p.person("p-2").GetSuspended())
	p.ahead = 0

	s.Move(s.dn("Carl"), "CN=Carl", "OU=left,"+s.Base)
	r = p.next()
	p.expect("who is moved away has left", !r.Full && r.Outcome.Left == 1 && p.holder("\x04\x00\x00\x03") == "")
	s.Delete(s.dn("Anna B."))
	r = p.next()
	p.expect("who is deleted has left", !r.Full && r.Outcome.Left == 1 && p.holder(bensUID) == "")
}

// plainStory reads as somebody whom the server does not show what was deleted.
func plainStory(t *testing.T, s realm) {
	s.hire("Dora", "p-4", "04000004")
	c := s.config()
	c.Config = s.Server.Config
	p := newPlant(t, c)
	r := p.full()
	p.expect("they join", r.Full && p.holder("\x04\x00\x00\x04") == "p-4")
	p.expect("it is said what the account lacks", strings.Contains(strings.Join(p.syncer.Conditions(), " "), "Replicating Directory Changes"))
	s.Delete(s.dn("Dora"))
	r = p.next()
	p.expect("who is deleted has left", !r.Full && r.Outcome.Left == 1 && p.holder("\x04\x00\x00\x04") == "")
}

func calledStory(t *testing.T, s realm) {
	s.hire("Emil", "p-5", "04000005")
	s.hire("Frida", "p-6", "04000006")
	c := s.config()
	c.Interval = time.Hour
	p := newPlant(t, c)
	stop := p.run()
	defer stop()
	p.until(10*time.Second, func() bool { return p.holder("\x04\x00\x00\x05") == "p-5" }, "they join")
	polls := p.syncer.State().LastOK
	// The server does not say when it has begun to watch: touch something until it calls.
	n := 0
	p.until(10*time.Second, func() bool {
		n++
		s.Set(s.dn("Frida"), "description", strconv.Itoa(n))
		return p.syncer.State().LastOK.After(polls)
	}, "it calls")
	s.Set(s.dn("Emil"), "userAccountControl", "514")
	took := p.until(5*time.Second, func() bool { return p.person("p-5").GetSuspended() }, "the leaver is suspended")
	t.Logf("suspended %s after the server was told", took.Round(time.Millisecond))
}
