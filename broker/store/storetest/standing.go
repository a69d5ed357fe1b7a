package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"tapline/broker/store"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

func (e Engine) standing(t *testing.T) {
	t.Run("a nonce is spent once, and forgotten when it is too old to count", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			spend := func(after time.Duration) error {
				return tx.SpendNonce([]byte("nonce"), begin().Add(time.Minute), begin().Add(after))
			}
			return errors.Join(spend(0), want("again", spend(time.Minute), store.ErrExists), spend(time.Minute+time.Second))
		})
	})
	t.Run("where a station stands is read back, and forgotten with it", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			if _, err := tx.PutStation(&taplinev1.Station{Id: press}); err != nil {
				return err
			}
			none, err := tx.Standing(press)
			errs := []error{err, tx.PutStanding(press, store.Standing{Trust: 1})}
			put := store.Standing{Released: 3, AbandonedFrom: 3, AbandonedTo: 5, ApprovedUntil: begin(), ApprovedBy: "anna", QuarantinedAt: begin(), Trust: 7}
			errs = append(errs, tx.PutStanding(press, put))
			got, err := tx.Standing(press)
			if none != (store.Standing{}) || got != put {
				errs = append(errs, fmt.Errorf("read back: %+v, %+v", none, got))
			}
			errs = append(errs, err, tx.SeeCopy(press, store.Copy{Request: []byte("q"), Join: 3, Last: begin()}), tx.DeleteStation(press))
			got, err = tx.Standing(press)
			copies, err2 := tx.Copies(press, 10)
			if got != (store.Standing{}) || len(copies) != 0 {
				errs = append(errs, fmt.Errorf("after the station: %+v, %+v", got, copies))
			}
			return errors.Join(append(errs, err, err2)...)
		})
	})
	t.Run("copies are known again by what they ask, and given up but for the one that is picked", e.copies)
	t.Run("of a copy that asks something new each time the newest requests are known", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			var errs []error
			for i := range 120 {
				errs = append(errs, tx.SeeCopy(press, store.Copy{Request: fmt.Append(nil, i), Join: 3, Last: begin().Add(time.Duration(i) * time.Second)}))
			}
			copies, err := tx.Copies(press, 1000)
			if len(copies) != 100 || string(copies[0].Request) != "119" || string(copies[99].Request) != "20" {
				errs = append(errs, fmt.Errorf("%d are known", len(copies)))
			}
			return errors.Join(append(errs, err)...)
		})
	})
	t.Run("certificates of one subject are listed newest first, and revoked but for one join sequence", e.joins)
	t.Run("stations that are enrolled and lack a trust statement are listed", e.unaware)
}

func (e Engine) copies(t *testing.T) {
	do(t, e.fresh(t), func(tx *store.Tx) error {
		var errs []error
		for i, q := range []string{"one", "two", "one"} {
			errs = append(errs, tx.SeeCopy(press, store.Copy{Request: []byte(q), Join: uint64(len(q) + i), Serial: "ab", Last: begin().Add(time.Duration(i) * time.Hour)}))
		}
		errs = append(errs, tx.GiveUpCopies(press, 4))
		copies, err := tx.Copies(press, 10)
		if len(copies) != 2 || copies[0].Join != 3 || !copies[0].GivenUp || copies[1].Join != 4 || copies[1].GivenUp ||
			!copies[0].First.Equal(begin()) || !copies[0].Last.Equal(begin().Add(2*time.Hour)) {
			errs = append(errs, fmt.Errorf("read back: %+v", copies))
		}
		one, err2 := tx.CopyOf(press, []byte("one"))
		if one.Join != 3 || one.Serial != "ab" {
			errs = append(errs, fmt.Errorf("known again: %+v", one))
		}
		_, err3 := tx.CopyOf("a/b/c/d", []byte("one"))
		errs = append(errs, tx.GiveUpOthers(press, []byte("one")))
		if two, err := tx.CopyOf(press, []byte("two")); err != nil || !two.GivenUp {
			errs = append(errs, fmt.Errorf("the other one: %+v, %w", two, err))
		}
		return errors.Join(append(errs, err, err2, want("another station's", err3, store.ErrNotFound))...)
	})
}

func (e Engine) joins(t *testing.T) {
	do(t, e.fresh(t), func(tx *store.Tx) error {
		var errs []error
		for i, serial := range []string{"a1", "b2", "c3"} {
			errs = append(errs, tx.AddCertificate(store.Certificate{
				Serial: serial, Role: wire.RoleStation, Subject: press, Join: uint64(i + 1), NotBefore: begin(), NotAfter: begin().Add(time.Hour),
			}))
		}
		errs = append(errs, tx.RevokeOtherJoins(press, 2, begin()))
		got, err := tx.CertificatesOf(wire.RoleStation, press, 2)
		if len(got) != 2 || got[0].Serial != "c3" || got[0].RevokedAt.IsZero() || got[1].Serial != "b2" || !got[1].RevokedAt.IsZero() {
			errs = append(errs, fmt.Errorf("read back: %+v", got))
		}
		return errors.Join(append(errs, err)...)
	})
}

func (e Engine) unaware(t *testing.T) {
	do(t, e.fresh(t), func(tx *store.Tx) error {
		var errs []error
		for i, id := range []string{"a/a/a/a", "b/b/b/b", "c/c/c/c", "d/d/d/d"} {
			state := taplinev1.StationState_STATION_STATE_ENROLLED
			if i == 3 {
				state = taplinev1.StationState_STATION_STATE_REVOKED
			}
			_, err := tx.PutStation(&taplinev1.Station{Id: id})
			errs = append(errs, err, tx.SetStationState(record.StationID(id), state, ""))
		}
		errs = append(errs, tx.PutStanding("a/a/a/a", store.Standing{Trust: 7}), tx.PutStanding("b/b/b/b", store.Standing{Trust: 6}))
		got, err := tx.UnawareOfTrust(7, 10)
		if fmt.Sprint(got) != "[b/b/b/b c/c/c/c]" {
			errs = append(errs, fmt.Errorf("got %v", got))
		}
		return errors.Join(append(errs, err)...)
	})
}
