package session_test

import (
	"sync/atomic"
	"testing"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/store"
	"tapline/broker/store/postgrestest"
)

// On PostgreSQL each statement of a decision is a way to the server, in the turn of all brokers: a decision must not grow them unseen.
func TestHowManyStatementsADecisionIs(t *testing.T) {
	for _, engine := range []struct {
		name              string
		open              func(t *testing.T) (*store.Store, error)
		first, over, none int // the account is free; the station changes hands; the badge is not known
	}{
		{"sqlite", func(t *testing.T) (*store.Store, error) { t.Helper(); return store.OpenSQLite(t.TempDir()) }, 19, 23, 5},
		{"postgres", func(t *testing.T) (*store.Store, error) {
			t.Helper()
			return store.OpenPostgres(t.Context(), store.Postgres{URL: postgrestest.Start(t).NewDatabase(t)})
		}, 17, 19, 5},
	} {
		t.Run(engine.name, func(t *testing.T) {
			s, err := engine.open(t)
			if err != nil {
				t.Fatal(err)
			}
			var n atomic.Int64
			s.Asked = func() { n.Add(1) }
			p := newPlantOn(t, s)
			p.zone(&taplinev1.Zone{})
			for _, tap := range []struct {
				says string
				do   func()
				want int
			}{
				{"Anna taps at a station that is free", func() { p.allowed(press, tap(annas)) }, engine.first},
				{"Ben takes over from her", func() { p.allowed(press, tap(bens)) }, engine.over},
				{"a badge that nobody knows", func() { p.refused(press, tap(nobodys), "UNKNOWN_BADGE") }, engine.none},
			} {
				n.Store(0)
				tap.do()
				if got := int(n.Load()); got > tap.want {
					t.Errorf("%s: %d statements, at most %d are meant", tap.says, got, tap.want)
				}
			}
		})
	}
}
