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

func (e Engine) scim(t *testing.T) {
	t.Run("a SCIM resource has one name, versions that follow one another, and members", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			put := func(kind, id, name string, version uint64) error {
				return tx.PutScim(store.ScimResource{Kind: kind, ID: id, Name: name, Doc: "{}", Version: version, MadeAt: begin(), ChangedAt: begin()})
			}
			errs := []error{
				put(store.ScimUser, "u-1", "anna", 1), put(store.ScimGroup, "g-1", "anna", 1), put(store.ScimUser, "u-2", "ben", 1),
				want("the name of another", put(store.ScimUser, "u-2", "anna", 2), store.ErrExists),
				want("made again", put(store.ScimUser, "u-1", "anna", 1), store.ErrRevision), put(store.ScimUser, "u-1", "cleo", 2),
				want("an old version", put(store.ScimUser, "u-1", "cleo", 2), store.ErrRevision),
			}
			for _, m := range []store.ScimMembership{{Group: "g-1", User: "u-1"}, {Group: "g-1", User: "u-2"}, {Group: "g-1", User: "u-1"}} {
				errs = append(errs, tx.PutScimMember(m, true))
			}
			errs = append(errs, tx.PutScimMember(store.ScimMembership{Group: "g-1", User: "u-2"}, false))
			r, err := tx.ScimByName(store.ScimUser, "cleo")
			members, err2 := tx.ScimMembers("g-1", "")
			every, err3 := tx.EveryScim(store.ScimUser)
			if r.ID != "u-1" || r.Version != 2 || len(members) != 1 || members[0].User != "u-1" || len(every) != 2 {
				errs = append(errs, fmt.Errorf("read back: %v, %v, %v", r, members, every))
			}
			errs = append(errs, err, err2, err3, tx.DeleteScim(store.ScimUser, "u-1"), want("again", tx.DeleteScim(store.ScimUser, "u-1"), store.ErrNotFound))
			members, err = tx.ScimMembers("", "u-1")
			if len(members) != 0 {
				errs = append(errs, fmt.Errorf("a user who is gone is in %v", members))
			}
			return errors.Join(append(errs, err)...)
		})
	})
	t.Run("a SCIM token is found by its hash, used and revoked", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			err := tx.AddScimToken(store.ScimToken{ID: "t-1", Name: "entra", Hash: []byte("h"), MadeAt: begin(), MadeBy: "olga", ExpiresAt: begin().Add(1)})
			errs := []error{err, tx.UseScimToken("t-1", begin()), tx.RevokeScimToken("t-1", begin()), want("another", tx.RevokeScimToken("t-2", begin()), store.ErrNotFound)}
			_, err = tx.ScimTokenByHash([]byte("x"))
			errs = append(errs, want("another hash", err, store.ErrNotFound))
			got, err := tx.ScimTokenByHash([]byte("h"))
			if got.Name != "entra" || !got.LastUsedAt.Equal(begin()) || !got.RevokedAt.Equal(begin()) {
				errs = append(errs, fmt.Errorf("read back: %+v", got))
			}
			return errors.Join(append(errs, err)...)
		})
	})
}

func (e Engine) badges(t *testing.T) {
	t.Run("a badge is lost and found, and what is said of it stays", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			end := begin().Add(1e9)
			errs := []error{
				tx.AddBadge(store.Badge{ID: "b-1", Person: "p-1", Lookup: []byte("l"), Number: []byte("n"), AssignedAt: begin(), Source: "csv", Temporary: true, Replaces: "b-0"}),
				tx.LoseBadge("b-1", begin()), tx.DescribeBadge("b-1", "blue", end),
			}
			b, err := tx.Badge("b-1")
			if b.Source != "csv" || !b.Temporary || b.Replaces != "b-0" || !b.LostAt.Equal(begin()) || b.Label != "blue" || !b.NotAfter.Equal(end) || b.Good(begin()) {
				errs = append(errs, fmt.Errorf("read back: %+v", b))
			}
			errs = append(errs, err, tx.LoseBadge("b-1", time.Time{}), tx.SettleBadge("b-1"), want("another", tx.LoseBadge("b-2", begin()), store.ErrNotFound))
			of, err := tx.BadgesOf("p-1")
			if len(of) != 1 || !of[0].Good(begin()) || of[0].Good(end) || of[0].Replaces != "" {
				errs = append(errs, fmt.Errorf("read back: %+v", of))
			}
			return errors.Join(append(errs, err)...)
		})
	})
}

func (e Engine) requests(t *testing.T) {
	t.Run("a request for a badge is decided once, listed newest first, and forgotten with time", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			var errs []error
			for i, id := range []string{"r-1", "r-2", "r-3"} {
				made := begin().Add(time.Duration(i) * time.Hour)
				errs = append(errs, tx.AddBadgeRequest(store.BadgeRequest{
					ID: id, Station: press, Person: "p-1", ShownBy: "pin", Technology: "x", Assurance: 1, Lookup: []byte("l"), Number: []byte("n"),
					MadeAt: made, ExpiresAt: made.Add(90 * time.Minute), State: store.RequestOpen,
				}))
			}
			done := store.BadgeRequest{ID: "r-2", State: store.RequestApproved, DecidedBy: "olga", DecidedAt: begin(), Note: "ok", Badge: "b-1"}
			errs = append(errs, tx.DecideBadgeRequest(done), want("decided again", tx.DecideBadgeRequest(done), store.ErrExists))
			got, err := tx.BadgeRequest("r-2")
			if got.DecidedBy != "olga" || got.Badge != "b-1" || string(got.Number) != "n" || got.State != store.RequestApproved {
				errs = append(errs, fmt.Errorf("read back: %+v", got))
			}
			every, err2 := tx.BadgeRequests(time.Time{}, store.Page{Size: 2})
			rest, err3 := tx.BadgeRequests(time.Time{}, store.Page{Size: 2, After: "r-2"})
			open, err4 := tx.BadgeRequests(begin().Add(2*time.Hour), store.Page{Size: 9})
			here, err5 := tx.BadgeRequestsAt(press, begin())
			if len(every) != 2 || every[0].ID != "r-3" || len(rest) != 1 || rest[0].ID != "r-1" || len(open) != 1 || open[0].ID != "r-3" || len(here) != 2 {
				errs = append(errs, fmt.Errorf("listed %v, %v, open %v, here %v", every, rest, open, here))
			}
			errs = append(errs, err, err2, err3, err4, err5, tx.PurgeBadgeRequests(begin().Add(time.Minute)))
			_, err = tx.BadgeRequest("r-1")
			return errors.Join(append(errs, want("purged", err, store.ErrNotFound))...)
		})
	})
	t.Run("refused taps are listed by station and time", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			var errs []error
			for i, code := range []string{"AAAAAA", "BBBBBB", "CCCCCC"} {
				station := record.StationID(press)
				if i == 2 {
					station = "plant/packing/line-2/hmi-1"
				}
				errs = append(errs, tx.AddRefusal(store.Refusal{
					Code: code, Station: station, At: begin().Add(time.Duration(i) * time.Minute), Decision: &taplinev1.Decision{}, Lookup: []byte("l"), Number: []byte("n"),
				}))
			}
			here, err := tx.RefusalsAfter(press, begin().Add(-time.Second), 10)
			later, err2 := tx.RefusalsAfter("", begin(), 1)
			if len(here) != 2 || here[0].Code != "BBBBBB" || len(later) != 1 || later[0].Code != "CCCCCC" {
				errs = append(errs, fmt.Errorf("listed %v, %v", here, later))
			}
			return errors.Join(append(errs, err, err2)...)
		})
	})
}
