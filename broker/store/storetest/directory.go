package storetest

import (
	"errors"
	"fmt"
	"testing"

	"tapline/broker/store"
	taplinev1 "tapline/proto/tapline/v1"
)

func (e Engine) shifts(t *testing.T) {
	t.Run("shifts are read back, changed by who has read them, and deleted", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			put := func(id string, revision uint64) error {
				_, err := tx.PutShift(&taplinev1.Shift{Id: id, Name: "The " + id, TimeZone: "UTC", Revision: revision})
				return err
			}
			errs := []error{put("late", 0), put("early", 0), put("early", 1), want("an old revision", put("early", 1), store.ErrRevision)}
			s, err := tx.Shift("early")
			every, err2 := tx.EveryShift()
			found, err3 := tx.Shifts(store.Page{Size: 10, Query: "the LATE"})
			if s.GetRevision() != 2 || len(every) != 2 || every[0].GetId() != "early" || len(found) != 1 || found[0].GetId() != "late" {
				errs = append(errs, fmt.Errorf("read back: %v, %v, %v", s, every, found))
			}
			errs = append(errs, err, err2, err3, tx.DeleteShift("late"), want("again", tx.DeleteShift("late"), store.ErrNotFound))
			_, err = tx.Shift("late")
			return errors.Join(append(errs, want("deleted", err, store.ErrNotFound))...)
		})
	})
}
