package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"tapline/broker/store"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
)

// zones is what the policy keeps: zones, decided taps, and the history of sets.
func (e Engine) zones(t *testing.T) {
	t.Run("a zone that nobody has described is none, and one in use has its user", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			none, err := tx.Zone("hot")
			first, err2 := tx.PutZone(&taplinev1.Zone{Id: "hot", Safety: true})
			_, stale := tx.PutZone(&taplinev1.Zone{Id: "hot", Revision: first + 1})
			z, err3 := tx.Zone("hot")
			listed, err4 := tx.Zones(store.Page{Size: 10, Query: "HO"})
			_, err5 := tx.PutStation(&taplinev1.Station{Id: press, Zone: "hot"})
			user, err6 := tx.ZoneUser("hot")
			if none != nil || !z.GetSafety() || z.GetRevision() != first || len(listed) != 1 || user != press {
				return fmt.Errorf("before %v, after %v, listed %d, used by %q", none, z, len(listed), user)
			}
			return errors.Join(err, err2, err3, err4, err5, err6, want("an old revision", stale, store.ErrRevision),
				tx.DeleteZone("hot"), want("delete twice", tx.DeleteZone("hot"), store.ErrNotFound))
		})
	})
	t.Run("decided taps come back in their order, page by page, and go with their age", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			for i := range 5 {
				err := tx.AddTap(store.Tap{
					Session: record.SessionID(fmt.Sprintf("s-%d", i)), Station: press, Person: "p-1", At: begin().Add(time.Duration(i) * time.Hour),
					PIN: i == 2, Assurance: 3, Approved: i == 1, Facts: []byte(`{}`),
				})
				if err != nil {
					return err
				}
			}
			one, err := tx.TapOf("s-2")
			page, err2 := tx.Taps(begin().Add(time.Hour), 0, 2)
			rest, err3 := tx.Taps(begin().Add(time.Hour), page[len(page)-1].Number, 10)
			pin, err4 := tx.LastPIN("p-1", press)
			never, err5 := tx.LastPIN("p-2", press)
			if !one.PIN || one.Assurance != 3 || one.Approved || len(page) != 2 || page[0].Session != "s-1" || len(rest) != 2 || rest[1].Session != "s-4" {
				return fmt.Errorf("tap %+v, page %+v, rest %+v", one, page, rest)
			}
			if !pin.Equal(begin().Add(2*time.Hour)) || !never.IsZero() {
				return fmt.Errorf("last pin %s and %s", pin, never)
			}
			err6 := tx.PurgeTaps(begin().Add(4 * time.Hour))
			left, err7 := tx.Taps(time.Time{}, 0, 10)
			if len(left) != 1 {
				return fmt.Errorf("%d taps left, want 1", len(left))
			}
			return errors.Join(err, err2, err3, err4, err5, err6, err7)
		})
	})
	e.history(t)
}

// history is what was there last, and before.
func (e Engine) history(t *testing.T) {
	t.Run("the newest lease of a person at a station is found, in force or not", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			_, none := tx.LastLease("p-1", press)
			for i := range 3 {
				id := fmt.Sprintf("l-%d", i)
				err := tx.AddLease(store.Lease{
					ID: id, Scope: "a", Fence: record.Fence(i + 1), Session: record.SessionID("s" + id), Station: press, Person: "p-1",
					OpenedAt: begin().Add(time.Duration(i) * time.Hour), ExpiresAt: begin().Add(9 * time.Hour),
				})
				if err != nil {
					return err
				}
			}
			err := tx.EndLease("l-2", "idle", begin().Add(3*time.Hour))
			l, err2 := tx.LastLease("p-1", press)
			if l.ID != "l-2" || l.EndedAt.IsZero() {
				return fmt.Errorf("got %+v", l)
			}
			return errors.Join(err, err2, want("before the first", none, store.ErrNotFound))
		})
	})
	t.Run("every set that was put in force is in the history, newest first", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			for i, v := range []string{"one", "two", "one"} {
				if err := tx.AddPolicy(&taplinev1.PolicySet{Version: v}, begin().Add(time.Duration(i)*time.Hour)); err != nil {
					return err
				}
			}
			page, err := tx.Policies(store.Page{Size: 2})
			rest, err2 := tx.Policies(store.Page{Size: 2, After: fmt.Sprint(page[1].Number)})
			if len(page) != 2 || page[0].Policy.GetVersion() != "one" || page[1].Policy.GetVersion() != "two" || len(rest) != 1 {
				return fmt.Errorf("page %v, rest %v", page, rest)
			}
			_, odd := tx.Policies(store.Page{Size: 2, After: "x"})
			return errors.Join(err, err2, want("a page that is none", odd, store.ErrNotFound))
		})
	})
}
