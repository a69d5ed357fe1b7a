package lease_test

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"tapline/broker/lease"
	"tapline/broker/store"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
)

const here, there = "plant/press/line-4/hmi-1", "plant/press/line-4/hmi-2"

// withAccount runs a story about one exclusive account whose leases last an hour.
func withAccount(t *testing.T, story func(*store.Tx) error) {
	t.Helper()
	update(t, open(t), func(tx *store.Tx) error {
		if _, err := tx.PutAccount(&taplinev1.Account{Id: "a", Capacity: 1, LeaseTime: durationpb.New(time.Hour)}); err != nil {
			return err
		}
		return story(tx)
	})
}

func TestALeaseIsFreeAtItsVeryEnd(t *testing.T) {
	withAccount(t, func(tx *store.Tx) error {
		first, err := lease.Take(tx, lease.Want{Session: "s-1", Station: here, Account: "a"}, begin)
		if err != nil {
			return err
		}
		if _, err := lease.Take(tx, lease.Want{Session: "s-2", Station: there, Account: "a"}, first.ExpiresAt.Add(-time.Second)); !errors.Is(err, lease.ErrHeld) {
			t.Errorf("a second before the end: %v, want ErrHeld", err)
		}
		second, err := lease.Take(tx, lease.Want{Session: "s-3", Station: there, Account: "a"}, first.ExpiresAt)
		if err != nil {
			return err
		}
		if !first.ExpiresAt.Equal(begin.Add(time.Hour)) || second.Fence <= first.Fence {
			t.Errorf("the first ends at %s, the fences are %d and %d", first.ExpiresAt, first.Fence, second.Fence)
		}
		old, err := lease.Held(tx, "s-1", here, first.Fence)
		if old.Cause != lease.CauseExpired {
			t.Errorf("the first ended by %q", old.Cause)
		}
		if _, err := lease.Extend(tx, old, time.Time{}, first.ExpiresAt); !errors.Is(err, lease.ErrEnded) {
			t.Errorf("extending it: %v, want ErrEnded", err)
		}
		return err
	})
}

func TestALeaseEndsWhenTheSessionMust(t *testing.T) {
	withAccount(t, func(tx *store.Tx) error {
		l, err := lease.Take(tx, lease.Want{Session: "s-1", Station: here, Account: "a", Until: begin.Add(10 * time.Minute)}, begin)
		if err != nil || !l.ExpiresAt.Equal(begin.Add(10*time.Minute)) {
			t.Errorf("taken until %s, %v", l.ExpiresAt, err)
		}
		if l, err = lease.Extend(tx, l, begin.Add(20*time.Minute), begin.Add(5*time.Minute)); err != nil || !l.ExpiresAt.Equal(begin.Add(20*time.Minute)) {
			t.Errorf("extended until %s, %v", l.ExpiresAt, err)
		}
		l, err = lease.Extend(tx, l, time.Time{}, begin.Add(15*time.Minute))
		if !l.ExpiresAt.Equal(begin.Add(75 * time.Minute)) {
			t.Errorf("extended without a limit until %s", l.ExpiresAt)
		}
		return err
	})
}

func TestASessionThatBeganOfflineGetsALeaseAndTheTruth(t *testing.T) {
	withAccount(t, func(tx *store.Tx) error {
		first, held, err := lease.Adopt(tx, lease.Want{Session: "s-1", Station: here, Account: "a"}, begin)
		if err != nil || held {
			t.Errorf("a free account: held %v, %v", held, err)
		}
		second, held, err := lease.Adopt(tx, lease.Want{Session: "s-2", Station: there, Account: "a"}, begin)
		if err != nil || !held || second.Fence <= first.Fence {
			t.Errorf("a held account: held %v, fence %d after %d, %v", held, second.Fence, first.Fence, err)
		}
		still, err := lease.Held(tx, "s-1", here, first.Fence)
		if !still.EndedAt.IsZero() {
			t.Error("the first one's lease was taken away")
		}
		return err
	})
}

func TestAStationWithoutAccountCountsByItself(t *testing.T) {
	update(t, open(t), func(tx *store.Tx) error {
		for session, station := range map[string]string{"s-1": here, "s-2": there} {
			if _, err := lease.Take(tx, lease.Want{Session: record.SessionID(session), Station: record.StationID(station)}, begin); err != nil {
				return err
			}
		}
		// An account that was deleted is exclusive: nobody knows any more how many it allowed.
		if _, err := lease.Take(tx, lease.Want{Session: "s-3", Station: here, Account: "gone"}, begin); err != nil {
			return err
		}
		if _, err := lease.Take(tx, lease.Want{Session: "s-4", Station: there, Account: "gone"}, begin); !errors.Is(err, lease.ErrHeld) {
			t.Errorf("a deleted account, twice: %v, want ErrHeld", err)
		}
		return nil
	})
}

func TestAnAccountWithoutACapacityIsHeldOnceAtEachStation(t *testing.T) {
	update(t, open(t), func(tx *store.Tx) error {
		if _, err := tx.PutAccount(&taplinev1.Account{Id: "operator"}); err != nil {
			return err
		}
		first, err := lease.Take(tx, lease.Want{Session: "s-1", Station: here, Account: "operator"}, begin)
		if err != nil {
			return err
		}
		if _, err := lease.Take(tx, lease.Want{Session: "s-2", Station: there, Account: "operator"}, begin); err != nil {
			t.Errorf("at another station: %v", err)
		}
		second, err := lease.Take(tx, lease.Want{Session: "s-3", Station: here, Account: "operator"}, begin)
		if err != nil {
			return err
		}
		if second.Fence <= first.Fence {
			t.Errorf("fence %d after %d", second.Fence, first.Fence)
		}
		old, err := lease.Held(tx, "s-1", here, first.Fence)
		if old.EndedAt.IsZero() {
			t.Error("two sessions at one station")
		}
		return err
	})
}
