package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/store"
	"tapline/proto/record"
)

func (e Engine) bundles(t *testing.T) {
	t.Run("a bundle's mark is the bundle without what it grants, and a comparison moves its generation on", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			whole := store.Bundle{Station: press, Sequence: 3, Generation: 7, Digest: []byte("d"), Envelope: bytes.Repeat([]byte("e"), 1<<20), IssuedAt: begin()}
			_, none := tx.BundleMark(press)
			errs := []error{want("a mark of no bundle", none, store.ErrNotFound), tx.PutBundle(whole), tx.KeepBundle(press, 9), tx.KeepBundle(press, 8)}
			mark, err := tx.BundleMark(press)
			if mark.Sequence != 3 || mark.Generation != 9 || !mark.IssuedAt.Equal(begin()) || mark.Envelope != nil {
				errs = append(errs, fmt.Errorf("the mark is %d of generation %d at %s, %d bytes", mark.Sequence, mark.Generation, mark.IssuedAt, len(mark.Envelope)))
			}
			again, err2 := tx.Bundle(press)
			if !bytes.Equal(again.Envelope, whole.Envelope) {
				errs = append(errs, errors.New("the bundle is another"))
			}
			return errors.Join(append(errs, err, err2)...)
		})
	})
	t.Run("the verifiers of all PINs are those of each person", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			want := map[record.PersonID]string{"p-1": "one", "p-3": "three"}
			var errs []error
			for _, id := range []record.PersonID{"p-1", "p-2", "p-3"} {
				_, err := tx.PutPerson(&taplinev1.PersonEntry{Id: string(id)})
				errs = append(errs, err, tx.PutPIN(id, "old", begin()), tx.PutPIN(id, want[id], begin().Add(time.Hour)))
			}
			got, err := tx.EveryPIN()
			if !maps.Equal(got, want) {
				errs = append(errs, fmt.Errorf("got %v, want %v", got, want))
			}
			return errors.Join(append(errs, err)...)
		})
	})
}
