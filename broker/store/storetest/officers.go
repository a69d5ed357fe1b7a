package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tapline/broker/store"
	"tapline/proto/wire"
)

// officers: who calls the broker, their invitations, and who gave whom what.
func (e Engine) officers(t *testing.T) {
	s := e.fresh(t)
	olga := store.Officer{Name: "olga", Role: wire.RoleHelpdesk, Source: "invite", Life: 30 * 24 * time.Hour, AddedAt: begin(), AddedBy: "local"}
	hash, reply := []byte{1, 2}, []byte("reply")
	do(t, s, func(tx *store.Tx) error {
		return errors.Join(tx.PutOfficer(olga), tx.PutOfficer(store.Officer{Name: "Ada_1", Role: wire.RoleAdmin, Source: "oidc", Subject: "iss|1", AddedAt: begin(), AddedBy: "oidc"}),
			tx.AddInvitation(store.Invitation{Hash: []byte{0}, Officer: "olga", MadeAt: begin(), ExpiresAt: begin().Add(time.Hour)}),
			tx.AddInvitation(store.Invitation{Hash: hash, Officer: "olga", MadeAt: begin(), ExpiresAt: begin().Add(time.Hour)}),
			tx.AddCertificate(store.Certificate{Serial: "aa", Role: wire.RoleHelpdesk, Subject: "olga", NotBefore: begin(), NotAfter: begin().Add(2 * time.Hour)}),
			tx.AddCertificate(store.Certificate{Serial: "ab", Role: wire.RoleStation, Subject: "olga", NotBefore: begin(), NotAfter: begin().Add(9 * time.Hour)}))
	})
	do(t, s, func(tx *store.Tx) error {
		if _, err := tx.InvitationByHash([]byte{0}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the former invitation: %v", err)
		}
		if err := tx.UseInvitation(hash, []byte("request"), reply, begin()); err != nil {
			return err
		}
		if err := tx.UseInvitation(hash, []byte("other"), nil, begin()); !errors.Is(err, store.ErrExists) {
			t.Errorf("used twice: %v", err)
		}
		i, err := tx.InvitationByHash(hash)
		if d := cmp.Diff(store.Invitation{Hash: hash, Officer: "olga", MadeAt: begin(), ExpiresAt: begin().Add(time.Hour), UsedAt: begin(), Request: []byte("request"), Reply: reply}, i); d != "" {
			t.Error(d)
		}
		got, err2 := tx.Officer("olga")
		want := olga
		want.ExpiresAt = begin().Add(2 * time.Hour)
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		want.Role, want.RevokedAt, want.Reason, want.AddedBy = wire.RoleAuditor, begin(), "left", "nobody"
		return errors.Join(err, err2, tx.PutOfficer(want), tx.RevokeOfficerCertificates("olga", begin()))
	})
	do(t, s, func(tx *store.Tx) error {
		got, err := tx.Officer("olga")
		if got.Role != wire.RoleAuditor || got.AddedBy != "local" || !got.RevokedAt.Equal(begin()) || !got.ExpiresAt.IsZero() {
			t.Errorf("got %+v", got)
		}
		c, err2 := tx.Certificate("ab")
		if !c.RevokedAt.IsZero() {
			t.Error("a station of the same name lost its certificate")
		}
		found, err3 := tx.Officers(store.Page{Size: 10, Query: "a_"})
		if len(found) != 1 || found[0].Name != "Ada_1" {
			t.Errorf("found %v", found)
		}
		return errors.Join(err, err2, err3, tx.PurgeInvitations(begin().Add(2*time.Hour)))
	})
	do(t, s, func(tx *store.Tx) error {
		if _, err := tx.InvitationByHash(hash); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("after the purge: %v", err)
		}
		before := begin().Add(-time.Hour)
		err := errors.Join(tx.GiveCredential("p-1", store.CredentialPIN, "olga", begin(), before), tx.GiveCredential("p-1", store.CredentialPIN, "olga", begin().Add(time.Minute), before))
		for _, row := range []struct {
			person string
			what   store.Credential
			actor  string
			want   time.Time
		}{{"p-1", store.CredentialPIN, "olga", begin().Add(time.Minute)}, {"p-1", store.CredentialBadge, "olga", time.Time{}}, {"p-1", store.CredentialPIN, "karl", time.Time{}}} {
			if got, err := tx.CredentialGiven("p-1", row.what, row.actor); err != nil || !got.Equal(row.want) {
				t.Errorf("%v: got %v, %v", row, got, err)
			}
		}
		return errors.Join(err, tx.GiveCredential("p-2", store.CredentialPIN, "olga", begin(), begin().Add(time.Hour)))
	})
	do(t, s, func(tx *store.Tx) error {
		got, err := tx.CredentialGiven("p-1", store.CredentialPIN, "olga")
		if !got.IsZero() {
			t.Error("what was given long ago is remembered")
		}
		return err
	})
}
