package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tapline/broker/store"
)

func (e Engine) syncs(t *testing.T) {
	t.Run("of two who synchronise at once the second fails", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			first, err := tx.Sync("ldap")
			if err != nil || first.Revision != 0 || first.Cookie != nil {
				return fmt.Errorf("before the first: %+v, %w", first, err)
			}
			first.Cookie, first.Doc = []byte{0, 1, 255}, []byte(`{"a":1}`)
			errs := []error{tx.PutSync(first), want("the same revision twice", tx.PutSync(first), store.ErrRevision)}
			second, err := tx.Sync("ldap")
			if err != nil || second.Revision != 1 || string(second.Cookie) != "\x00\x01\xff" || string(second.Doc) != `{"a":1}` {
				errs = append(errs, fmt.Errorf("read back: %+v, %w", second, err))
			}
			second.Cookie = nil
			errs = append(errs, tx.PutSync(second), want("an old revision", tx.PutSync(second), store.ErrRevision))
			third, err := tx.Sync("ldap")
			if err != nil || third.Revision != 2 || len(third.Cookie) != 0 {
				errs = append(errs, fmt.Errorf("without a cookie: %+v, %w", third, err))
			}
			return errors.Join(errs...)
		})
	})
	t.Run("an entry keeps its key when its name changes", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			anna := store.Synced{Key: "k-1", Person: "p-1", Name: "cn=anna", Roles: []string{"operator", "setter"}, LapsesAt: begin().Add(time.Hour), Again: true}
			ben := store.Synced{Key: "k-2", Person: "p-2", Name: "cn=ben"}
			renamed := anna
			renamed.Name, renamed.Again, renamed.LapsesAt = "cn=anna b", false, time.Time{}
			err := errors.Join(tx.PutSynced("ldap", anna), tx.PutSynced("ldap", ben), tx.PutSynced("scim", anna), tx.PutSynced("ldap", renamed))
			got, read := tx.Synced("ldap")
			if diff := cmp.Diff([]store.Synced{renamed, ben}, got); diff != "" {
				err = errors.Join(err, errors.New(diff))
			}
			err = errors.Join(err, read, tx.DeleteSynced("ldap", "k-1"), tx.DeleteSynced("ldap", "k-0"))
			got, read = tx.Synced("ldap")
			if len(got) != 1 || got[0].Key != "k-2" {
				err = errors.Join(err, fmt.Errorf("after the first was forgotten: %v", got))
			}
			return errors.Join(err, read)
		})
	})
}
