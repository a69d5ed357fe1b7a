package secret

import (
	"os"
	"testing"
	"time"

	directory "tapline/broker/ldap"
	"tapline/broker/ldap/ldaptest"
	"tapline/broker/store"
	taplinev1 "tapline/proto/tapline/v1"
)

const firstPassword = "Erstes-kennwort-1"

func TestASecretIsChangedAtSlapd(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	dn := "uid=svc,ou=people," + s.Base
	s.Add(dn, ldaptest.Attrs{"objectClass": {"inetOrgPerson"}, "uid": {"svc"}, "cn": {"svc"}, "sn": {"svc"}, "userPassword": {firstPassword}})
	c := s.Config
	c.BindDN = "cn=admin," + s.Base
	client := changedAt(t, c, dn, s.Stop, s.Start)
	if good, err := (LDAP{client}).Verify(t.Context(), dn, []byte(firstPassword)); err != nil || good {
		t.Errorf("the first password after two changes: %v, %v", good, err)
	}
}

func TestASecretIsChangedAtSamba(t *testing.T) {
	if os.Getenv("TAPLINE_SUITE") == "quick" {
		t.Skip("needs: full suite")
	}
	s := ldaptest.StartSamba(t)
	dn := "CN=svc,OU=people," + s.Base
	s.AddUser(dn, "svc", firstPassword, nil)
	client := changedAt(t, s.AdminConfig(), "svc", s.Stop, s.Start)
	if good, err := (LDAP{client}).Verify(t.Context(), dn, []byte(firstPassword)); err != nil || good {
		t.Errorf("the first password after two changes: %v, %v", good, err)
	}
}

// changedAt takes an account of a real directory through two changes: after a session that was handed its secret, and one that begins while the server
// is away. The secret that the broker hands out is at each point one that the server takes.
func changedAt(t *testing.T, c directory.Config, name string, stop, start func()) *directory.Client {
	t.Helper()
	p := newPlant(t)
	client, err := directory.New(c)
	p.must(err)
	driver := LDAP{Client: client}
	p.k = p.keeper()
	p.k.Directory = driver
	p.do(func(tx *store.Tx) error {
		_, err := tx.PutAccount(&taplinev1.Account{Id: "svc", Driver: "ldap", Name: name})
		return err
	})
	works := func(says, secret string) {
		t.Helper()
		if good, err := driver.Verify(t.Context(), name, []byte(secret)); err != nil || !good {
			t.Errorf("%s: the server does not take it: %v", says, err)
		}
	}
	if _, err := p.k.Place(t.Context(), &taplinev1.SetAccountSecretRequest{Account: "svc", Secret: []byte("not-this-one")}); err == nil {
		t.Error("a secret that the server does not take is believed")
	}
	p.set("svc", "", firstPassword)
	l := p.open(press, "s-1", "svc")
	got, err := p.fetch(l)
	if err != nil || got != firstPassword {
		t.Fatalf("handed out %q, %v", got, err)
	}
	p.end(l)
	p.must(p.look(2 * lookEvery))
	s := p.status("svc")
	window, err := driver.Window(t.Context())
	p.must(err)
	if s.GetState() != stateCurrent || s.GetVersion() != 2 || (s.GetOldUntil() != nil) != (window > 0) {
		t.Fatalf("after the session: %v, window %s", s, window)
	}
	if window > 0 {
		if until := s.GetOldUntil().AsTime().Sub(s.GetSince().AsTime()); until.Round(time.Second) != window {
			t.Errorf("the old secret is noted to be taken for %s, the server's window is %s", until, window)
		}
	}
	good, err := driver.Verify(t.Context(), name, []byte(firstPassword))
	if err != nil || good && window == 0 {
		t.Errorf("the old secret: %v, %v", good, err)
	}
	t.Logf("window %s; the old secret is taken after the change: %v", window, good)
	l = p.open(press, "s-2", "svc")
	second, err := p.fetch(l)
	p.must(err)
	works("after the first change", second)

	stop()
	p.end(l)
	_ = p.look(2 * lookEvery)
	if s := p.status("svc"); s.GetVersion() != 2 || s.GetReason() == "" {
		t.Errorf("while the server is away: %v", s)
	}
	start()
	p.must(p.look(5 * time.Minute))
	if s := p.status("svc"); s.GetState() != stateCurrent || s.GetVersion() != 3 {
		t.Errorf("after it came back: %v", s)
	}
	third, err := p.fetch(p.open(press, "s-3", "svc"))
	p.must(err)
	if third == second {
		t.Error("it was not changed")
	}
	works("after the second change", third)
	return client
}
