package lease_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"tapline/broker/lease"
	"tapline/broker/store"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
)

var begin = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)

func open(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.OpenSQLite(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// Over random histories of takings, givings-back and waiting: no account is held more often than it allows, no station holds two leases, and
// every lease of an account has a greater fence than all before it.
func TestLeasesKeepTheirLawOverRandomHistories(t *testing.T) {
	const capacity = 2
	s := open(t)
	accounts := map[record.AccountID]int{"exclusive": 1, "counted": capacity}
	update(t, s, func(tx *store.Tx) error {
		for id, n := range accounts {
			if _, err := tx.PutAccount(&taplinev1.Account{Id: string(id), Driver: "none", Capacity: uint32(n)}); err != nil {
				return err
			}
		}
		return nil
	})
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	now, fences, taken, refused := begin, map[record.AccountID]record.Fence{}, 0, 0
	for step := range 600 {
		now = now.Add(time.Duration(random.IntN(120)) * time.Minute)
		station := record.StationID(fmt.Sprintf("plant/press/line-4/hmi-%d", random.IntN(4)))
		account := []record.AccountID{"exclusive", "counted"}[random.IntN(2)]
		update(t, s, func(tx *store.Tx) error {
			if random.IntN(3) == 0 {
				return giveBack(tx, station, now)
			}
			l, err := lease.Take(tx, lease.Want{
				Session: record.SessionID(fmt.Sprintf("s-%d", step)), Station: station, Person: "p", Account: account,
			}, now)
			if errors.Is(err, lease.ErrHeld) {
				refused++
				return nil
			}
			if err != nil {
				return err
			}
			taken++
			if l.Fence <= fences[account] {
				t.Errorf("step %d: fence %d of %s after %d", step, l.Fence, account, fences[account])
			}
			fences[account] = l.Fence
			return nil
		})
		check(t, s, accounts, now, step)
	}
	if taken == 0 || refused == 0 {
		t.Errorf("%d taken and %d refused: the history shows nothing", taken, refused)
	}
}

// Over random histories in which the account's capacity changes too: nobody gets a lease while as many others are in force as the account allows now,
// whatever it allowed when they were taken, and fences rise throughout.
func TestACapacityThatChangesCountsWhatIsOpen(t *testing.T) {
	s := open(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	now, capacity, fence, refused := begin, 0, record.Fence(0), 0
	for step := range 400 {
		now = now.Add(time.Duration(random.IntN(60)) * time.Minute)
		station := record.StationID(fmt.Sprintf("plant/press/line-4/hmi-%d", random.IntN(4)))
		update(t, s, func(tx *store.Tx) error {
			if step%7 == 0 {
				capacity = random.IntN(3)
				_, err := tx.PutAccount(&taplinev1.Account{Id: "svc", Driver: "none", Capacity: uint32(capacity)})
				return err
			}
			if random.IntN(4) == 0 {
				return giveBack(tx, station, now)
			}
			others := 0
			all, err := tx.Leases("svc", store.Page{Size: 100})
			if err != nil {
				return err
			}
			for _, l := range all {
				if l.Station != station && now.Before(l.ExpiresAt) {
					others++
				}
			}
			l, err := lease.Take(tx, lease.Want{Session: record.SessionID(fmt.Sprintf("s-%d", step)), Station: station, Person: "p", Account: "svc"}, now)
			if full := capacity > 0 && others >= capacity; full != errors.Is(err, lease.ErrHeld) {
				t.Errorf("step %d: %d of %d were held elsewhere: %v", step, others, capacity, err)
			}
			if errors.Is(err, lease.ErrHeld) {
				refused++
				return nil
			}
			if err == nil && l.Fence <= fence {
				t.Errorf("step %d: fence %d after %d", step, l.Fence, fence)
			}
			fence = max(fence, l.Fence)
			return err
		})
	}
	if refused == 0 {
		t.Error("nothing was refused: the history shows nothing")
	}
}

func giveBack(tx *store.Tx, station record.StationID, now time.Time) error {
	own, err := tx.LeasesOfStation(station)
	if err != nil {
		return err
	}
	for _, l := range own {
		if err := tx.EndLease(l.ID, "tap-out", now); err != nil {
			return err
		}
	}
	return nil
}

// check counts who holds what at a time.
func check(t *testing.T, s *store.Store, accounts map[record.AccountID]int, now time.Time, step int) {
	t.Helper()
	update(t, s, func(tx *store.Tx) error {
		stations := map[record.StationID]int{}
		for id, capacity := range accounts {
			held, err := tx.LeasesOfScope("account " + string(id))
			if err != nil {
				return err
			}
			n := 0
			for _, l := range held {
				if now.Before(l.ExpiresAt) {
					n++
					stations[l.Station]++
				}
			}
			if n > capacity {
				t.Errorf("step %d: %s is held %d times, allowed %d", step, id, n, capacity)
			}
		}
		for id, n := range stations {
			if n > 1 {
				t.Errorf("step %d: station %s holds %d leases", step, id, n)
			}
		}
		return nil
	})
}

func TestAStaleFenceHoldsNothing(t *testing.T) {
	s := open(t)
	const station = "plant/press/line-4/hmi-1"
	var first, second store.Lease
	update(t, s, func(tx *store.Tx) (err error) {
		if first, err = lease.Take(tx, lease.Want{Session: "s-1", Station: station}, begin); err != nil {
			return err
		}
		second, err = lease.Take(tx, lease.Want{Session: "s-2", Station: station}, begin)
		return err
	})
	update(t, s, func(tx *store.Tx) error {
		if _, err := lease.Held(tx, "s-2", station, first.Fence); !errors.Is(err, lease.ErrStale) {
			t.Errorf("the fence of the lease before: %v, want ErrStale", err)
		}
		if _, err := lease.Held(tx, "s-2", "plant/press/line-4/hmi-2", second.Fence); err == nil {
			t.Error("another station holds it too")
		}
		_, err := lease.Held(tx, "s-2", station, second.Fence)
		return err
	})
}

func update(t *testing.T, s *store.Store, do func(*store.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), do); err != nil {
		t.Fatal(err)
	}
}
