package broker

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapline/broker/ldap/ldaptest"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// configure gives the broker these lines of configuration, and starts it anew.
func (p *plant) configure(lines string) {
	p.t.Helper()
	p.stop()
	cfg, err := p.cfg.read([]byte(lines))
	p.must(err)
	p.must(cfg.Fault())
	p.cfg = cfg
	p.start()
}

func (p *plant) sync() *taplinev1.SyncState {
	p.t.Helper()
	r, err := p.admin.GetSync(p.t.Context(), &taplinev1.GetSyncRequest{})
	p.must(err)
	return r.GetState()
}

func badgeIn(who *ldaptest.Slapd, uid, id, badge string) string {
	dn := "uid=" + uid + ",ou=people," + who.Base
	who.Add(dn, ldaptest.Attrs{"objectClass": {"inetOrgPerson"}, "cn": {uid}, "sn": {uid}, "employeeNumber": {id}, "carLicense": {badge}, "title": {"operator"}})
	return dn
}

func ldapLines(s *ldaptest.Slapd) string {
	return fmt.Sprintf(`ldap:
  servers: [%s]
  ca_file: %s
  bind_dn: %q
  password_file: %s
  base: "ou=people,%s"
  interval: 1h
  map:
    id: employeeNumber
    name: cn
    roles:
      attribute: title
    badges:
      - attribute: carLicense
        format: uid
`, s.Config.Servers[0], s.Config.CAFile, s.Config.BindDN, s.Config.PasswordFile, s.Base)
}

// TestALeaverOfTheDirectoryIsDeadAtConnectedStations: from the change in the directory to the end of the session at a station on the line, and the next
// tap refused.
func TestALeaverOfTheDirectoryIsDeadAtConnectedStations(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	dns := map[string]string{"suspended": badgeIn(s, "carl", "p-7", "04D4E5F6"), "deleted": badgeIn(s, "dora", "p-8", "04D4E5F7")}
	p := newPlant(t)
	p.staff()
	if p.sync() != nil {
		t.Error("there is a synchronisation that nobody configured")
	}
	_, err := p.admin.RunSync(t.Context(), &taplinev1.RunSyncRequest{})
	refused(t, err, wire.Precondition, "no LDAP directory is configured")
	p.configure(ldapLines(s) + "    disabled:\n      attribute: employeeType\n")
	press := p.enrol(press)
	ended := press.listen()
	press.until("the directory's people are there", func() bool { return p.sync().GetPeople() == 2 && p.sync().GetChanges() == "called" })
	badges := map[string][]byte{"suspended": ben(), "deleted": []byte("uid\x0032\x00\x04\xd4\xe5\xf7")}
	for _, says := range []string{"suspended", "deleted"} {
		req := tap(badges[says])
		if r := press.open(req); !r.GetDecision().GetAllowed() {
			t.Fatalf("%s: %v", says, r)
		}
		begun := time.Now()
		want := taplinev1.RefusalCause_REFUSAL_CAUSE_PERSON_INACTIVE
		if says == "suspended" {
			s.Set(dns[says], "employeeType", "left")
		} else {
			s.Delete(dns[says])
			want = taplinev1.RefusalCause_REFUSAL_CAUSE_BADGE_REVOKED
		}
		press.endsWithin(inTime, ended, req.GetSession())
		t.Logf("%s: the session ended %s after the directory was told", says, time.Since(begun).Round(time.Millisecond))
		press.refusedWith(badges[says], want)
	}
	if r := press.open(tap(anna())); !r.GetDecision().GetAllowed() {
		t.Errorf("who is not the directory's: %v", r)
	}
}

func TestAnAdministratorRunsTheSynchronisation(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	for i := range 30 {
		badgeIn(s, fmt.Sprintf("u%d", i), fmt.Sprintf("p-%d", i), fmt.Sprintf("0400%04x", i))
	}
	p := newPlant(t)
	p.configure(ldapLines(s))
	h := &hmi{plant: p}
	h.until("the directory's people are there", func() bool { return p.sync().GetPeople() == 30 })
	badgeIn(s, "v", "v", "nonsense")
	dry, err := p.admin.RunSync(t.Context(), &taplinev1.RunSyncRequest{DryRun: true})
	p.must(err)
	if dry.GetUnchanged() < 30 || dry.GetHeld() != "" {
		t.Errorf("a dry run: %v", dry)
	}
	run, err := p.admin.RunSync(t.Context(), &taplinev1.RunSyncRequest{})
	p.must(err)
	if got := run.GetState(); got.GetPeople() != 31 || got.GetFaultCount() != 1 || !strings.Contains(got.GetFaults()[0], "person v ") || strings.Contains(got.GetFaults()[0], "nonsense") {
		t.Errorf("a run: %v", run)
	}
	for i := range 20 {
		s.Delete(fmt.Sprintf("uid=u%d,ou=people,%s", i, s.Base))
	}
	h.until("the brake holds", func() bool {
		_, err := p.admin.RunSync(t.Context(), &taplinev1.RunSyncRequest{})
		return wire.KindOf(err) == wire.Precondition && p.sync().GetHeld() != ""
	})
	_, err = p.admin.AcceptSync(t.Context(), &taplinev1.AcceptSyncRequest{Difference: "000000000000"})
	refused(t, err, wire.Stale, "the brake holds")
	_, err = p.admin.AcceptSync(t.Context(), &taplinev1.AcceptSyncRequest{Difference: p.sync().GetDifference()})
	p.must(err)
	h.until("what was accepted is done", func() bool { return p.sync().GetHeld() == "" && p.sync().GetPeople() == 11 })
}

func TestAConfigurationOfADirectoryThatMakesNoSense(t *testing.T) {
	dir := t.TempDir()
	p := newPlant(t)
	if err := os.WriteFile(filepath.Join(dir, "p"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for lines, want := range map[string]string{
		"ldap:\n  server: ldaps://dc\n": "server", "ldap:\n  map:\n    badge: x\n": "badge",
	} {
		if _, err := p.cfg.read([]byte(lines)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", lines, err)
		}
	}
	cfg, err := p.cfg.read([]byte("ldap:\n  servers: [http://dc]\n  timeout: 2h\n  interval: 90s\n"))
	if err != nil || cfg.LDAP.Interval != 90*time.Second {
		t.Fatalf("%+v, %v", cfg.LDAP, err)
	}
	told := fmt.Sprint(cfg.Check())
	for _, want := range []string{"ldap.servers", "ldap.timeout", "ldap.base"} {
		if !strings.Contains(told, want) {
			t.Errorf("nothing is said of %s in %s", want, told)
		}
	}
}
