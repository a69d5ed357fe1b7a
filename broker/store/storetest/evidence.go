package storetest

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"testing"
	"time"

	"tapline/broker/store"
	"tapline/proto/record"
)

// chain is a chain that a test writes.
type chain struct {
	*record.Chain
	id  record.ChainID
	key ed25519.PrivateKey
}

// chainOf begins chain number n of a station and stores it.
func chainOf(tx *store.Tx, station record.StationID, n int) (*chain, error) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	st := record.StationStatement{
		V: record.Version, Station: station, Chain: record.ChainID(fmt.Sprintf("3f8e4c1e-6a59-4b07-9a0c-%012d", n)), IdentityKey: []byte("k"),
		FirstKey: record.PublicKeyOf(key), EnrolledAt: begin(),
	}
	err := tx.AddChain(store.Chain{ID: st.Chain, Station: station, Statement: []byte("st"), Head: st.Head(), EnrolledAt: begin()})
	return &chain{record.NewChain(st), st.Chain, key}, err
}

// write makes n records that follow one another.
func (c *chain) write(n int) ([]record.Entry, error) {
	entries := make([]record.Entry, 0, n)
	for range n {
		wall := begin().Add(time.Duration(c.Head().Seq) * time.Minute)
		e, err := c.Next(record.Payload{
			Type: record.StationHeartbeat, Mode: record.ModeAttribute, Beat: &record.Beat{Interval: 300, State: "idle"},
			Time: record.Time{Wall: wall, Boot: "3f8e4c1e-6a59-4b07-9a0c-5b7c5a1d2e3f", Monotonic: wall.UnixNano(), State: record.ClockUnanchored},
		}, c.key)
		if err == nil {
			err = c.Commit(e)
		}
		if err != nil {
			return nil, err
		}
		p, err := e.Payload()
		if err != nil {
			return nil, err
		}
		entries = append(entries, record.Entry{Envelope: e, Payload: p})
	}
	return entries, nil
}

func no(int) bool { return false }

func (e Engine) records(t *testing.T) {
	t.Run("records follow the head, and each has a cursor after all before it", e.appended)
	t.Run("a filter finds stations by name and by level", e.filtered)
	t.Run("of refused batches the first ones are kept", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			for i := range store.RejectLimit + 5 {
				if err := tx.AddReject(store.Reject{ID: fmt.Sprint(i), Station: press, Batch: [][]byte{[]byte("x")}, ReceivedAt: begin()}); err != nil {
					return err
				}
			}
			n, err := tx.Rejects(press)
			if n != store.RejectLimit {
				return fmt.Errorf("%d kept, %w", n, err)
			}
			return err
		})
	})
}

func (e Engine) appended(t *testing.T) {
	s := e.fresh(t)
	do(t, s, func(tx *store.Tx) error {
		c, err := chainOf(tx, press, 1)
		if err != nil {
			return err
		}
		from := c.Head()
		first, err := c.write(3)
		if err != nil {
			return err
		}
		middle := c.Head()
		if err := tx.Append(from, middle, first, no, begin()); err != nil {
			return err
		}
		second, err := c.write(2)
		if err != nil {
			return err
		}
		errs := []error{
			want("on an old head", tx.Append(from, c.Head(), second, no, begin()), store.ErrMoved),
			tx.Append(middle, c.Head(), second, func(i int) bool { return i == 1 }, begin()),
		}
		kept, err := tx.Chain(c.id)
		if kept.Head != c.Head() {
			errs = append(errs, fmt.Errorf("head %+v, want %+v", kept.Head, c.Head()))
		}
		got, err2 := tx.Records(store.Filter{}, 0, 100)
		for i, r := range got {
			if r.Cursor != uint64(i+1) || r.Seq != record.Seq(i) && r.Seq != record.Seq(i+1) {
				errs = append(errs, fmt.Errorf("record %d has cursor %d and number %d", i, r.Cursor, r.Seq))
			}
		}
		for i, want := range append(first, second...) {
			if i >= len(got) || string(got[i].Envelope) != string(want.Envelope.Bytes()) {
				errs = append(errs, fmt.Errorf("record %d is not the one that was written", i))
			}
		}
		unverified, err3 := tx.Unverified(100)
		if len(unverified) != 4 {
			errs = append(errs, fmt.Errorf("%d unverified, want 4", len(unverified)))
		}
		errs = append(errs, tx.SetVerified(1, ""), tx.SetVerified(2, "bad signature"))
		got, err4 := tx.Records(store.Filter{}, 0, 2)
		if len(got) != 2 || !got[0].Verified || got[0].Fault != "" || got[1].Fault != "bad signature" {
			errs = append(errs, fmt.Errorf("after verification: %+v", got))
		}
		return errors.Join(append(errs, err, err2, err3, err4)...)
	})
}

func (e Engine) filtered(t *testing.T) {
	s := e.fresh(t)
	do(t, s, func(tx *store.Tx) error {
		for i, station := range []record.StationID{press, "plant/press/line-40/hmi-1", "plant/press-2/line-4/hmi-1"} {
			c, err := chainOf(tx, station, i+1)
			if err != nil {
				return err
			}
			from := c.Head()
			entries, err := c.write(2)
			if err != nil {
				return err
			}
			if err := tx.Append(from, c.Head(), entries, no, begin()); err != nil {
				return err
			}
		}
		for _, row := range []struct {
			filter store.Filter
			want   int
		}{
			{store.Filter{}, 6},
			{store.Filter{Stations: []string{press}}, 2},
			{store.Filter{Stations: []string{"plant/press/line-4/"}}, 2},
			{store.Filter{Stations: []string{"plant/press/"}}, 4},
			{store.Filter{Stations: []string{"plant/"}}, 6},
			{store.Filter{Stations: []string{"plant/press"}}, 0},
			{store.Filter{Stations: []string{press, "plant/press-2/"}}, 4},
			{store.Filter{Types: []string{string(record.StationHeartbeat)}, People: []string{"p-1"}}, 0},
			{store.Filter{From: begin().Add(30 * time.Second)}, 3},
			{store.Filter{Until: begin().Add(time.Hour), Stations: []string{"' OR 1=1 --"}}, 0},
		} {
			got, err := tx.Records(row.filter, 0, 100)
			if err != nil || len(got) != row.want {
				return fmt.Errorf("%+v found %d, want %d, %w", row.filter, len(got), row.want, err)
			}
		}
		return nil
	})
}

func (e Engine) sessions(t *testing.T) {
	t.Run("the first record of a session counts, and only its own chain closes it", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			open := store.Session{ID: "s-1", Kind: store.Named, Station: press, Chain: "c-1", Person: "p-1", OpenedAt: begin(), OpenedError: time.Second, OpenedSeq: 1}
			other := open
			other.Person, other.OpenedAt = "p-2", begin().Add(time.Hour)
			end := store.End{At: begin().Add(time.Hour), Reason: "tap-out", Seq: 9}
			errs := []error{tx.AddSession(open), tx.AddSession(other), tx.CloseSession("c-2", "s-1", end)}
			got, err := tx.Session("s-1")
			if got.Person != "p-1" || !got.OpenedAt.Equal(begin()) || !got.ClosedAt.IsZero() {
				errs = append(errs, fmt.Errorf("read back: %+v", got))
			}
			errs = append(errs, err, tx.CloseSession("c-1", "s-1", end), tx.CloseSession("c-1", "s-1", store.End{At: begin(), Reason: "idle"}))
			got, err = tx.Session("s-1")
			if !got.ClosedAt.Equal(end.At) || got.Reason != "tap-out" || got.ClosedSeq != 9 {
				errs = append(errs, fmt.Errorf("closed: %+v", got))
			}
			for _, row := range []struct {
				at   time.Duration
				want int
			}{{-2 * time.Second, 0}, {-time.Second, 1}, {30 * time.Minute, 1}, {time.Hour, 1}, {time.Hour + time.Second, 0}} {
				around, err := tx.Around(press, begin().Add(row.at), 0)
				if err != nil || len(around) != row.want {
					errs = append(errs, fmt.Errorf("around %s: %d sessions, want %d, %w", row.at, len(around), row.want, err))
				}
			}
			return errors.Join(append(errs, err)...)
		})
	})
}

func (e Engine) alarms(t *testing.T) {
	t.Run("an alarm that comes again is counted until it is closed", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			var errs []error
			for _, id := range []string{"a-1", "a-2", "a-3"} {
				errs = append(errs, tx.Raise(store.Alarm{ID: id, Kind: "clone", Station: press, At: begin(), What: "two"}))
			}
			open, err := tx.Alarms(true, store.Page{Size: 10})
			if len(open) != 1 || open[0].ID != "a-1" || open[0].Times != 3 {
				errs = append(errs, fmt.Errorf("open: %+v", open))
			}
			_, err2 := tx.CloseAlarm("a-1", "anna", "done", begin())
			errs = append(errs, err, err2, tx.Raise(store.Alarm{ID: "a-4", Kind: "clone", Station: press, At: begin()}))
			n, err := tx.OpenAlarms()
			if n != 1 {
				errs = append(errs, fmt.Errorf("%d open, want the new one", n))
			}
			_, err2 = tx.CloseAlarm("a-9", "anna", "", begin())
			return errors.Join(append(errs, err, want("no such", err2, store.ErrNotFound))...)
		})
	})
	t.Run("an alarm that quotes what is no text is raised", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			err := tx.Raise(store.Alarm{ID: "a-1", Kind: "bad-record", Station: press, At: begin(), What: "it said \x00 and \xff"})
			if err != nil {
				return err
			}
			open, err := tx.Alarms(true, store.Page{Size: 10})
			if len(open) != 1 || open[0].What != "it said \uFFFD and \uFFFD" {
				return fmt.Errorf("open: %+v, %w", open, err)
			}
			return err
		})
	})
}

func (e Engine) emergencies(t *testing.T) {
	t.Run("an emergency is answered for by two people of its own chain, once each", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			opened := store.EmergencyEntry{ID: "e-1", Chain: "c-1", Station: press, OpenedAt: begin(), Reason: "jam", Missing: 2}
			other := opened
			other.ID, other.OpenedAt = "e-2", begin().Add(time.Hour)
			again := opened
			again.Reason = "injury"
			errs := []error{tx.AddEmergency(opened), tx.AddEmergency(other), tx.AddEmergency(again)}
			for _, row := range []struct {
				chain   record.ChainID
				person  record.PersonID
				missing int
			}{{"c-1", "p-1", 1}, {"c-1", "p-1", 1}, {"c-2", "p-2", 1}, {"c-1", "p-2", 0}, {"c-1", "p-3", 0}} {
				got, err := tx.ClaimEmergency(row.chain, "e-1", store.EmergencyClaim{Person: row.person, At: begin().Add(time.Minute), Seq: record.Seq(len(errs))})
				if err != nil || got.Missing != row.missing || got.Reason != "jam" {
					errs = append(errs, fmt.Errorf("after %s of %s: %+v, %w", row.person, row.chain, got, err))
				}
			}
			claims, err := tx.EmergencyClaims("e-1")
			if len(claims) != 2 || claims[0].Person != "p-1" || claims[1].Person != "p-2" {
				errs = append(errs, fmt.Errorf("claims: %+v", claims))
			}
			_, err2 := tx.ClaimEmergency("c-1", "e-9", store.EmergencyClaim{Person: "p-1"})
			return errors.Join(append(errs, err, err2)...)
		})
	})
	t.Run("those that nobody answers for are told once, and listed until somebody does", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			errs := []error{tx.AddEmergency(store.EmergencyEntry{ID: "e-1", Chain: "c-1", Station: press, OpenedAt: begin(), Missing: 2})}
			for _, row := range []struct {
				before time.Time
				want   int
			}{{begin(), 0}, {begin().Add(time.Second), 1}} {
				if late, err := tx.Unclaimed(row.before, 10); err != nil || len(late) != row.want {
					errs = append(errs, fmt.Errorf("before %s: %+v, %w", row.before, late, err))
				}
			}
			errs = append(errs, tx.MarkAlarmed("e-1", begin().Add(time.Hour)))
			late, err := tx.Unclaimed(begin().Add(time.Hour), 10)
			n, err2 := tx.UnclaimedAt(press)
			listed, err3 := tx.Emergencies(true, 10)
			if len(late) != 0 || n != 1 || len(listed) != 1 || !listed[0].AlarmedAt.Equal(begin().Add(time.Hour)) {
				errs = append(errs, fmt.Errorf("marked: %+v, %d, %+v", late, n, listed))
			}
			return errors.Join(append(errs, err, err2, err3)...)
		})
	})
}
