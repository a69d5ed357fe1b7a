package sync_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"tapline/broker/ldap"
	"tapline/broker/ldap/ldaptest"
	"tapline/broker/store"
	"tapline/broker/sync"
)

const (
	annasUID = "\x04\xa1\xb2\xc3"
	bensUID  = "\x04\xd4\xe5\xf6"
)

// town is a slapd with people.
type town struct{ *ldaptest.Slapd }

func (s town) dn(uid string) string   { return "uid=" + uid + ",ou=people," + s.Base }
func (s town) group(cn string) string { return "cn=" + cn + ",ou=groups," + s.Base }

// hire adds somebody with a personnel number and a badge.
func (s town) hire(uid, id, badge string) string {
	s.Add(s.dn(uid), ldaptest.Attrs{
		"objectClass": {"inetOrgPerson"}, "cn": {uid}, "sn": {uid}, "displayName": {strings.ToUpper(uid)}, "employeeNumber": {id}, "carLicense": {badge},
		"preferredLanguage": {"de"},
	})
	return s.dn(uid)
}

func (s town) config() sync.Config {
	return sync.Config{
		Config: s.Server.Config, Base: "ou=people," + s.Base,
		Map: sync.Mapping{
			ID: "employeeNumber", Language: "preferredLanguage",
			Roles:    sync.RoleMapping{Groups: map[string][]string{"operator": {s.group("operators")}, "setter": {s.group("setters")}}},
			Badges:   []sync.BadgeMapping{{Attribute: "carLicense", Format: "uid"}},
			Disabled: sync.DisabledMapping{Attribute: "employeeType", Values: []string{"left"}},
		},
	}
}

func newTown(t *testing.T, o ldaptest.SlapdOptions) town {
	s := town{ldaptest.StartSlapd(t, o)}
	s.hire("anna", "p-1", "04:a1:b2:c3")
	s.hire("ben", "p-2", "04D4E5F6")
	s.hire("carl", "p-3", "04000001")
	s.Add(s.group("operators"), ldaptest.Attrs{"objectClass": {"groupOfNames"}, "member": {s.dn("anna"), s.group("setters")}})
	s.Add(s.group("setters"), ldaptest.Attrs{"objectClass": {"groupOfNames"}, "member": {s.dn("ben"), s.group("operators")}}) // a loop
	return s
}

func TestPeopleAreAsSlapdHasThem(t *testing.T) {
	for says, o := range map[string]ldaptest.SlapdOptions{"with a session log": {}, "without": {NoSessionLog: true}} {
		t.Run(says, func(t *testing.T) { slapdStory(t, newTown(t, o)) })
	}
}

func slapdStory(t *testing.T, s town) {
	p := newPlant(t, s.config())
	r := p.full()
	p.expect("three join", r.Full && r.Outcome.Added == 3 && r.State.People == 3 && r.State.FaultCount == 0)
	anna := p.person("p-1")
	p.expect("Anna is as she is there", anna.GetDisplayName() == "ANNA" && anna.GetLanguage() == "de" && anna.GetSource() == "ldap" && !anna.GetSuspended())
	p.expect("her badge is hers", p.holder(annasUID) == "p-1" && p.holder(bensUID) == "p-2")
	p.expect("members of members have the role", p.roles("p-1") == "operator setter" && p.roles("p-2") == "operator setter" && p.roles("p-3") == "")

	r = p.next()
	p.expect("nothing changed", !r.Full && len(r.Outcome.Changes) == 0)

	s.hire("dora", "p-4", "04000004")
	s.Set(s.dn("anna"), "displayName", "Anna B.")
	r = p.next()
	p.expect("a joiner and a change come as a delta", !r.Full && r.Outcome.Added == 1 && r.Outcome.Changed == 1 && p.person("p-1").GetDisplayName() == "Anna B." && r.State.People == 4)

	s.Move(s.dn("anna"), "uid=anna.b", "")
	r = p.next()
	p.expect("who is renamed stays who they are", !r.Full && len(r.Outcome.Changes) == 1 && p.roles("p-1") == "" && p.holder(annasUID) == "p-1") // the group still names the old one
	s.Set(s.group("operators"), "member", s.dn("anna.b"))
	r = p.next()
	p.expect("groups change roles", !r.Full && p.roles("p-1") == "operator setter" && p.roles("p-2") == "setter" && p.roles("p-4") == "")

	s.Set(s.dn("anna.b"), "carLicense", "04D4E5F6")
	p.next()
	p.expect("a number that somebody else has is not given away", p.holder(bensUID) == "p-2" && p.holder(annasUID) == "" && strings.Contains(strings.Join(p.alarms(), " "), "sync-entry"))
	s.Set(s.dn("ben"), "carLicense")
	p.next()
	p.expect("it goes to the other one when it is free", p.holder(bensUID) == "p-1" && p.syncer.State().FaultCount == 0)

	s.Set(s.dn("ben"), "employeeType", "left")
	p.next()
	p.expect("who is disabled is suspended", p.person("p-2").GetSuspended())
	s.Delete(s.dn("dora"))
	s.Move(s.dn("carl"), "uid=carl", "ou=left,"+s.Base)
	r = p.next()
	p.expect("who is deleted or moved away has left", !r.Full && r.Outcome.Left == 2 && p.person("p-4").GetLeftAt() != nil && p.person("p-3").GetLeftAt() != nil && r.State.People == 2)
	p.expect("and the badge with them", p.holder("\x04\x00\x00\x04") == "")
	s.Move("uid=carl,ou=left,"+s.Base, "uid=carl", "ou=people,"+s.Base)
	p.next()
	p.expect("who comes back is back", p.person("p-3").GetLeftAt() == nil && p.holder("\x04\x00\x00\x01") == "p-3")
	s.Set(s.dn("carl"), "employeeNumber", "p-9")
	r = p.next()
	p.expect("an ID stays what it was", p.person("p-9") == nil && r.State.FaultCount == 1)
}

func TestAServerThatStartsAnewOrForgetsIsCaughtUpWith(t *testing.T) {
	s := newTown(t, ldaptest.SlapdOptions{})
	p := newPlant(t, s.config())
	p.full()
	s.Set(s.dn("anna"), "displayName", "Anna B.")
	s.Stop()
	if _, err := p.syncer.Once(t.Context()); err == nil {
		t.Error("a server that is gone answers")
	}
	s.Start()
	r := p.next()
	p.expect("the change before the stop comes", !r.Full && p.person("p-1").GetDisplayName() == "Anna B.")
	for says, cookie := range map[string]string{"nonsense": "rid=000,csn=nonsense", "newer than the server": "rid=000,csn=20991231235959.000000Z#000000#000#000000"} {
		s.hire("x"+says[:3], "p-x"+says[:3], "040000"+map[bool]string{true: "07", false: "08"}[says == "nonsense"])
		p.must(p.store.Update(t.Context(), func(tx *store.Tx) error {
			i, err := tx.Sync("ldap")
			if err != nil {
				return err
			}
			i.Cookie = []byte(cookie)
			return tx.PutSync(i)
		}))
		r = p.next()
		p.expect("with a cookie that is "+says+" everything is read", r.Full && r.Outcome.Added == 1)
		r = p.next()
		p.expect("and then changes again", !r.Full)
	}
}

func TestThreeThousandPeopleArePagedAndTheBrakeHolds(t *testing.T) {
	fullSuite(t)
	s := newTown(t, ldaptest.SlapdOptions{})
	const n = 3000
	for i := range n {
		s.Add(fmt.Sprintf("uid=u%d,ou=people,%s", i, s.Base), ldaptest.Attrs{
			"objectClass": {"inetOrgPerson"}, "cn": {"u"}, "sn": {"u"}, "employeeNumber": {fmt.Sprintf("e-%d", i)}, "carLicense": {fmt.Sprintf("05%06x", i)},
		})
	}
	p := newPlant(t, s.config())
	begun := time.Now()
	r := p.full()
	t.Logf("%d people in %s", n, time.Since(begun))
	p.expect("all join", r.Outcome.Added == n+3)
	begun = time.Now()
	r = p.full()
	t.Logf("again, unchanged, in %s", time.Since(begun))
	p.expect("nothing changes", len(r.Outcome.Changes) == 0 && r.Outcome.Unchanged == n+3)
	begun = time.Now()
	s.Set(s.dn("anna"), "employeeType", "left")
	p.next()
	t.Logf("a leaver as a delta in %s", time.Since(begun))

	c := s.config()
	c.Filter = "(uid=anna)"
	other := p.options
	other.Config = c
	narrow, err := sync.New(other)
	p.must(err)
	_, err = narrow.Once(t.Context())
	p.expect("the brake holds", err != nil && strings.Contains(err.Error(), "tapctl sync accept"))
	p.expect("and nobody left", p.holder(bensUID) == "p-2" && strings.Contains(strings.Join(p.alarms(), " "), "sync-held"))
	state, err := narrow.Look(t.Context())
	p.must(err)
	p.expect("another difference is not accepted", p.store.Update(t.Context(), func(tx *store.Tx) error { return narrow.Accept(tx, "other") }) != nil)
	p.must(p.store.Update(t.Context(), func(tx *store.Tx) error { return narrow.Accept(tx, state.Difference) }))
	r, err = narrow.Once(t.Context())
	p.must(err)
	p.expect("what was accepted is done, once", r.Outcome.Left == n+2 && p.holder(bensUID) == "" && r.State.Held == "" && r.State.Accepted == "")
}

func TestALeaverIsGoneWithinSecondsWhereTheServerCalls(t *testing.T) {
	s := newTown(t, ldaptest.SlapdOptions{})
	c := s.config()
	c.Interval = time.Hour
	p := newPlant(t, c)
	stop := p.run()
	defer stop()
	p.until(10*time.Second, func() bool { return p.holder(annasUID) == "p-1" && p.syncer.State().Changes == "called" }, "everybody joins")
	for i, uid := range []string{"anna", "ben"} {
		// The server does not say when it has begun to watch, so the first change may come before that.
		s.Set(s.dn(uid), "employeeType", "left")
		id := fmt.Sprintf("p-%d", i+1)
		took := p.until(5*time.Second, func() bool { return p.person(id).GetSuspended() }, uid+" is suspended")
		t.Logf("%s was suspended %s after the server was told", uid, took.Round(time.Millisecond))
	}
}

func TestFailuresAreToldAndRaiseAnAlarmInTheEnd(t *testing.T) {
	fullSuite(t)
	s := newTown(t, ldaptest.SlapdOptions{})
	c := s.config()
	c.Config.ConnectTimeout, c.Config.Timeout, c.Interval = 300*time.Millisecond, 300*time.Millisecond, time.Second
	p := newPlant(t, c)
	stop := p.run()
	defer stop()
	p.until(10*time.Second, func() bool { return p.holder(annasUID) == "p-1" }, "everybody joins")
	s.Hang()
	p.until(20*time.Second, func() bool { return strings.Contains(strings.Join(p.alarms(), " "), "sync-failed") }, "there is an alarm")
	p.expect("it is among the conditions", strings.Contains(strings.Join(p.syncer.Conditions(), " "), "since"))
	p.expect("nobody left for it", p.holder(annasUID) == "p-1")
	s.Resume()
	p.until(20*time.Second, func() bool { return len(p.syncer.Conditions()) == 0 }, "the condition goes")
}

func TestWhatABadMappingSays(t *testing.T) {
	s := newTown(t, ldaptest.SlapdOptions{})
	s.Add("cn=nobody,ou=people,"+s.Base, ldaptest.Attrs{"objectClass": {"inetOrgPerson"}, "sn": {"n"}, "carLicense": {"secret-4711"}})
	s.Set(s.dn("anna"), "carLicense", "secret-4711")
	p := newPlant(t, s.config())
	r := p.full()
	told := strings.Join(r.State.Faults, "\n")
	p.expect("who has no ID is named by the entry", strings.Contains(told, "cn=nobody") && strings.Contains(told, "employeeNumber"))
	p.expect("a bad number is told by person and attribute", strings.Contains(told, "p-1") && strings.Contains(told, "carLicense"))
	p.expect("and never shown", !strings.Contains(told, "4711"))
	p.expect("the others are there", p.holder(bensUID) == "p-2" && p.person("p-1") != nil)

	c := s.config()
	c.Map.Roles.Groups["boss"] = []string{"cn=bosses,ou=groups," + s.Base}
	o := p.options
	o.Config = c
	other, err := sync.New(o)
	p.must(err)
	_, err = other.Full(t.Context(), true)
	p.expect("a group that there is not is named", err != nil && strings.Contains(err.Error(), "cn=bosses"))
}

func TestAServerWithoutChangesIsReadEachTime(t *testing.T) {
	s := newTown(t, ldaptest.SlapdOptions{})
	c := s.config()
	c.Config.Kind = ldap.Other
	p := newPlant(t, c)
	p.full()
	s.Delete(s.dn("anna"))
	r := p.next()
	p.expect("a leaver is found", r.Full && r.Outcome.Left == 1 && p.holder(annasUID) == "" && r.State.Changes == "read")
}

func TestAskingADirectorySaysWhatIsMissing(t *testing.T) {
	s := newTown(t, ldaptest.SlapdOptions{})
	c := s.config()
	c.ChangeBindDN, c.ChangePasswordFile = "cn=admin,"+s.Base, c.PasswordFile
	good := sync.Ask(t.Context(), c, time.Now())
	told := strings.Join(good.Lines, "\n")
	if len(good.Faults) > 0 || !strings.Contains(told, "person p-1") || !strings.Contains(told, "account taken") || strings.Contains(strings.ToLower(told), "a1b2c3") {
		t.Errorf("a good one: %s, %v", told, good.Faults)
	}
	c.Servers, c.ChangeBindDN = append(c.Servers, "ldaps://127.0.0.1:1"), "cn=nobody,"+s.Base
	c.Map.Name, c.Map.Badges[0].Format = "initials", "h10301"
	c.Map.Roles.Groups["boss"] = []string{"cn=bosses,ou=groups," + s.Base}
	bad := sync.Ask(t.Context(), c, time.Now())
	told = fmt.Sprint(bad.Faults)
	for _, want := range []string{"127.0.0.1:1", "change_bind_dn", "attribute initials", "person p-1", "carLicense", "cn=bosses"} {
		if !strings.Contains(told, want) {
			t.Errorf("nothing is said of %s in %s", want, told)
		}
	}
	c = s.config()
	c.Base = "ou=elsewhere," + s.Base
	if told := fmt.Sprint(sync.Ask(t.Context(), c, time.Now()).Faults); !strings.Contains(told, "no base") {
		t.Errorf("another base: %s", told)
	}
}

func TestOfTwoBrokersOneSynchronises(t *testing.T) {
	fullSuite(t)
	s := newTown(t, ldaptest.SlapdOptions{})
	p := newPlant(t, s.config())
	o := p.options
	o.Lead = func(context.Context) (bool, error) { return false, nil }
	second, err := sync.New(o)
	p.must(err)
	stop := run(p, second)
	defer stop()
	r := p.full()
	p.expect("the first does it", r.Outcome.Added == 3)
	p.until(10*time.Second, func() bool { return second.State().People == 3 }, "the second sees how it is")
	s.hire("dora", "p-4", "04000004")
	p.expect("the second leaves it alone", p.person("p-4") == nil)
	second.Wake()
	p.until(10*time.Second, func() bool { return p.person("p-4") != nil }, "the second does it when it is asked")

	// Both at once, again and again: one of them is told that it was too late, and nothing is done twice.
	for i := range 5 {
		s.hire(fmt.Sprintf("x%d", i), fmt.Sprintf("p-x%d", i), fmt.Sprintf("0500000%d", i))
		var both errgroup.Group
		added := make(chan int, 2)
		for _, one := range []*sync.Syncer{p.syncer, second} {
			both.Go(func() error {
				r, err := one.Once(t.Context())
				if errors.Is(err, store.ErrRevision) {
					return nil
				}
				added <- r.Outcome.Added
				return err
			})
		}
		p.must(both.Wait())
		close(added)
		sum := 0
		for n := range added {
			sum += n
		}
		p.expect("somebody joins once", sum == 1)
	}
}

func TestALeaverIsGoneWithinTheIntervalWhereTheServerIsAsked(t *testing.T) {
	fullSuite(t)
	s := newTown(t, ldaptest.SlapdOptions{})
	c := s.config()
	c.Interval, c.NoWatch = time.Second, true
	p := newPlant(t, c)
	stop := p.run()
	defer stop()
	p.until(10*time.Second, func() bool { return p.holder(annasUID) == "p-1" && p.syncer.State().Changes == "asked" }, "everybody joins")
	s.Delete(s.dn("anna"))
	took := p.until(5*time.Second, func() bool { return p.holder(annasUID) == "" }, "Anna is gone")
	t.Logf("gone %s after the server was told, asked each second", took.Round(time.Millisecond))
}
