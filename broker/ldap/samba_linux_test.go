package ldap_test

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"tapline/broker/ldap"
	"tapline/broker/ldap/ldaptest"
)

// TestSamba tells one story on one domain: making it takes seconds.
func TestSamba(t *testing.T) {
	if os.Getenv("TAPLINE_SUITE") == "quick" {
		t.Skip("needs: full suite")
	}
	s := ldaptest.StartSamba(t)
	anna := "CN=Anna B.,OU=people," + s.Base
	s.AddUser(anna, "anna", "Erstes-kennwort-1", nil)
	key, err := ldap.GUID([]byte(s.Read(anna, "objectGUID")))
	if err != nil {
		t.Fatal(err)
	}
	admin := session(t, s.AdminConfig())
	if f := admin.Facts(); f.Kind != ldap.AD || !ldap.Below(f.Root, s.Base) || !f.Paging || !f.Notifies {
		t.Errorf("the server is told to be %+v", f)
	}
	t.Run("DirSync tells of who changed, was moved and was deleted", func(t *testing.T) { dirSync(t, s, anna, key) })
	t.Run("it calls when something changes", func(t *testing.T) { notified(t, s, anna) })
	t.Run("groups in groups are found", func(t *testing.T) { nested(t, s, anna) })
	t.Run("a password is set, and the old one lives on for a while", func(t *testing.T) { sambaPassword(t, s, anna) })
}

func dirSync(t *testing.T, s *ldaptest.Samba, anna string, key uuid.UUID) {
	attributes := []string{"objectGUID", "isDeleted", "userAccountControl", "member", "name", "parentGUID", "displayName"}
	for says, c := range map[string]ldap.Config{"as an administrator": s.AdminConfig(), "as a user": s.Config} {
		open := session(t, c)
		first, err := open.Changes(t.Context(), s.Base, attributes, nil)
		if err != nil || !has(first, key) {
			t.Fatalf("%s: %+v, %v", says, first, err)
		}
		none, err := open.Changes(t.Context(), s.Base, attributes, first.Cookie)
		if err != nil || len(none.List) != 0 {
			t.Errorf("%s: nothing changed: %+v, %v", says, none, err)
		}
		s.Set(anna, "userAccountControl", "514")
		then, err := open.Changes(t.Context(), s.Base, attributes, first.Cookie)
		if err != nil || !has(then, key) || len(then.List) != 1 {
			t.Errorf("%s: disabled: %+v, %v", says, then, err)
		}
		s.Move(anna, "CN=Anna B.", "OU=left,"+s.Base)
		moved, err := open.Changes(t.Context(), s.Base, attributes, then.Cookie)
		if err != nil || !has(moved, key) {
			t.Errorf("%s: moved: %+v, %v", says, moved, err)
		}
		s.Move("CN=Anna B.,OU=left,"+s.Base, "CN=Anna B.", "OU=people,"+s.Base)
		s.Set(anna, "userAccountControl", "512")
		ben := "CN=Ben,OU=people," + s.Base
		s.AddUser(ben, "ben", "Erstes-kennwort-1", nil)
		benKey, err := ldap.GUID([]byte(s.Read(ben, "objectGUID")))
		if err != nil {
			t.Fatal(err)
		}
		before, err := open.Changes(t.Context(), s.Base, attributes, moved.Cookie)
		if err != nil || !has(before, benKey) {
			t.Errorf("%s: a joiner: %+v, %v", says, before, err)
		}
		s.Delete(ben)
		after, err := open.Changes(t.Context(), s.Base, attributes, before.Cookie)
		if err != nil || (!gone(after, benKey) && !after.Blind) {
			t.Errorf("%s: deleted: %+v, %v", says, after, err)
		}
		t.Logf("%s: blind %v, deletion seen %v", says, after.Blind, gone(after, benKey))
		if _, err := open.Changes(t.Context(), s.Base, attributes, []byte("nonsense")); !errors.Is(err, ldap.ErrCookie) {
			t.Errorf("%s: a cookie of nonsense: %v", says, err)
		}
	}
}

func has(c ldap.Changes, key uuid.UUID) bool {
	for _, change := range c.List {
		if change.Key == key {
			return true
		}
	}
	return false
}

func notified(t *testing.T, s *ldaptest.Samba, anna string) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	open, err := client(t, s.Config).Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	called := make(chan struct{}, 100)
	var waiting sync.WaitGroup
	waiting.Go(func() {
		err := open.Watch(ctx, s.Base, nil, func() { called <- struct{}{} })
		t.Logf("the watch ended: %v", err)
	})
	// The server does not say when it has begun to watch: change until it calls.
	begun, n := time.Now(), 0
	ldaptest.Until(t, 15*time.Second, func() bool {
		n++
		s.Set(anna, "description", time.Now().String())
		select {
		case <-called:
			return true
		case <-time.After(500 * time.Millisecond):
			return false
		}
	}, "nothing is called")
	t.Logf("called %s after the first of %d changes", time.Since(begun), n)
	cancel()
	waiting.Wait()
}

func nested(t *testing.T, s *ldaptest.Samba, anna string) {
	inner, outer := "CN=inner,OU=groups,"+s.Base, "CN=outer,OU=groups,"+s.Base
	s.Add(inner, ldaptest.Attrs{"objectClass": {"group"}, "sAMAccountName": {"inner"}, "member": {anna}})
	s.Add(outer, ldaptest.Attrs{"objectClass": {"group"}, "sAMAccountName": {"outer"}, "member": {inner}})
	s.Set(inner, "member", anna, outer) // a loop
	e, err := session(t, s.Config).Find(t.Context(), ldap.Query{
		Base: s.Base, Filter: "(&(objectClass=user)(memberOf:1.2.840.113556.1.4.1941:=" + ldap.Escape(outer) + "))", Attributes: []string{"objectGUID"},
	})
	if err != nil || !ldap.Below(e.DN, anna) {
		t.Errorf("%v, %v", e, err)
	}
}

func sambaPassword(t *testing.T, s *ldaptest.Samba, anna string) {
	admin := client(t, s.AdminConfig())
	next := []byte("Zweites-kennwort-2")
	if err := admin.Verify(t.Context(), "anna", []byte("Erstes-kennwort-1")); err != nil {
		t.Fatal(err)
	}
	if err := admin.SetPassword(t.Context(), "anna", next); err != nil {
		t.Fatal(err)
	}
	if err := admin.Verify(t.Context(), anna, next); err != nil {
		t.Error(err)
	}
	w, err := admin.OldPasswordWindow(t.Context())
	if err != nil || w != (ldap.Window{For: time.Hour, Source: "documented"}) {
		t.Errorf("window %v, %v", w, err)
	}
	t.Logf("the old password after a change: %v", admin.Verify(t.Context(), anna, []byte("Erstes-kennwort-1")))
	if err := admin.SetPassword(t.Context(), anna, []byte("Drittes-kennwort-3")); err != nil {
		t.Fatal(err)
	}
	if err := admin.Verify(t.Context(), anna, []byte("Erstes-kennwort-1")); !errors.Is(err, ldap.ErrCredentials) {
		t.Errorf("the password before the last one: %v", err)
	}
	if err := admin.SetPassword(t.Context(), anna, []byte("kurz")); !errors.Is(err, ldap.ErrPolicy) {
		t.Errorf("a password that is too short: %v", err)
	}
	if err := client(t, s.Config).SetPassword(t.Context(), anna, next); !errors.Is(err, ldap.ErrRights) {
		t.Errorf("by an account that only reads: %v", err)
	}
	s.Set(anna, "pwdLastSet", "0")
	if err := admin.Verify(t.Context(), anna, []byte("Drittes-kennwort-3")); !errors.Is(err, ldap.ErrExpired) {
		t.Errorf("a password that must be changed: %v", err)
	}
}
