package session_test

import (
	"sync/atomic"
	"testing"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/store"
	"tapline/broker/store/postgrestest"
)

// count is how many statements there are, and how many ways to the server they take besides the beginning and the commit.
type count struct{ statements, trips int }

// On PostgreSQL each way to the server is in the turn of all brokers: a decision must not grow them unseen.
func TestHowManyStatementsADecisionIs(t *testing.T) {
	for _, engine := range []struct {
		name              string
		open              func(t *testing.T) (*store.Store, error)
		first, over, none count // the account is free, and the policy is loaded; the station changes hands; the badge is not known
	}{
		{"sqlite", func(t *testing.T) (*store.Store, error) { t.Helper(); return store.OpenSQLite(t.TempDir()) }, count{19, 0}, count{23, 0}, count{5, 0}},
		{"postgres", func(t *testing.T) (*store.Store, error) {
			t.Helper()
			return store.OpenPostgres(t.Context(), store.Postgres{URL: postgrestest.Start(t).NewDatabase(t)})
		}, count{22, 4}, count{22, 3}, count{11, 3}},
	} {
		t.Run(engine.name, func(t *testing.T) {
			s, err := engine.open(t)
			if err != nil {
				t.Fatal(err)
			}
			var n, trips atomic.Int64
			s.Asked, s.Trip = func() { n.Add(1) }, func() { trips.Add(1) }
			p := newPlantOn(t, s)
			p.zone(&taplinev1.Zone{})
			for _, tap := range []struct {
				says string
				do   func()
				want count
			}{
				{"Anna taps at a station that is free", func() { p.allowed(press, tap(annas)) }, engine.first},
				{"Ben takes over from her", func() { p.allowed(press, tap(bens)) }, engine.over},
				{"a badge that nobody knows", func() { p.refused(press, tap(nobodys), "UNKNOWN_BADGE") }, engine.none},
			} {
				n.Store(0)
				trips.Store(0)
				tap.do()
				if got := (count{int(n.Load()), int(trips.Load())}); got.statements > tap.want.statements || got.trips > tap.want.trips {
					t.Errorf("%s: %+v, at most %+v are meant", tap.says, got, tap.want)
				}
			}
		})
	}
}

// Nothing of the directory is kept between taps: what another broker revokes is revoked at the next one.
func TestATapOnOneBrokerSeesWhatAnotherRevoked(t *testing.T) {
	url := postgrestest.Start(t).NewDatabase(t)
	open := func() *store.Store {
		s, err := store.OpenPostgres(t.Context(), store.Postgres{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	p, other := newPlantOn(t, open()), open()
	t.Cleanup(func() { p.must(other.Close()) })
	p.allowed(press, tap(annas))
	p.must(other.Update(t.Context(), func(tx *store.Tx) error { return tx.RevokeBadge("b-p-1", "lost") }))
	p.refused(press, tap(annas), "BADGE_REVOKED")
	p.must(other.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.PutPerson(&taplinev1.PersonEntry{Id: "p-2", DisplayName: "Ben", Suspended: true})
		return err
	}))
	p.refused(press, tap(bens), "PERSON_INACTIVE")
}
