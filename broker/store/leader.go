package store

import (
	"errors"
	"fmt"
	"time"
)

// ErrFenced says that another broker leads by now: what was to be done as the leader must not be done.
var ErrFenced = errors.New("another broker leads by now")

// Lead takes or renews the lead over all brokers on the store. holder names one run of one broker and never comes again: a broker that is
// started anew is another holder. The leader calls it every third of a term, and so do the others, who want to know when they may take over.
//
// Nobody leads by a clock that another set: a holder watches, by its own clock alone, whether the leader renews, and takes over once a whole term has
// gone by without. A clock that is wrong does no harm, one that jumps may make a holder take over early. That is why the lead alone permits nothing:
// each take-over has the next epoch, and what a leader does it does in a transaction that begins with Fenced. Two may believe to lead, one can act.
func (tx *Tx) Lead(holder string, now time.Time, term time.Duration) (epoch uint64, leader bool, err error) {
	l, err := tx.Leader()
	switch {
	case errors.Is(err, ErrNotFound):
		return 1, true, tx.takeLead(holder, 1)
	case err != nil:
		return 0, false, err
	case l.Holder == holder:
		if _, err := tx.exec(`UPDATE leader SET renewals = renewals + 1 WHERE one = 1`); err != nil {
			return 0, false, fmt.Errorf("renew the lead: %w", err)
		}
		return l.Epoch, true, nil
	case l.Holder != "":
		stale, err := tx.leaderStale(holder, l, now, term)
		if err != nil || !stale {
			return l.Epoch, false, err
		}
	}
	return l.Epoch + 1, true, tx.takeLead(holder, l.Epoch+1)
}

// Leader is who leads the brokers on the store.
type Leader struct {
	Holder   string // empty after it resigned
	Epoch    uint64 // counts who led
	renewals int64
}

// Leader reads who leads. ErrNotFound before the first.
func (tx *Tx) Leader() (Leader, error) {
	var l Leader
	var epoch int64
	if err := tx.one(`SELECT holder, epoch, renewals FROM leader WHERE one = 1`, nil, &l.Holder, &epoch, &l.renewals); err != nil {
		return l, fmt.Errorf("read who leads: %w", err)
	}
	l.Epoch = uint64(epoch)
	return l, nil
}

// Resign gives the lead up, so that the next one who asks has it at once. Who does not lead resigns nothing.
func (tx *Tx) Resign(holder string) error {
	if _, err := tx.exec(`UPDATE leader SET holder = '', renewals = renewals + 1 WHERE one = 1 AND holder = ?`, holder); err != nil {
		return fmt.Errorf("give the lead up: %w", err)
	}
	return nil
}

// Fenced is nil while the lead of an epoch stands, and ErrFenced after somebody else took it. Within an update it stays true until the end of it.
func (tx *Tx) Fenced(epoch uint64) error {
	l, err := tx.Leader()
	switch {
	case err != nil && !errors.Is(err, ErrNotFound):
		return err
	case err != nil || l.Epoch != epoch || l.Holder == "":
		return fmt.Errorf("epoch %d, it is %d: %w", epoch, l.Epoch, ErrFenced)
	}
	return nil
}

func (tx *Tx) takeLead(holder string, epoch uint64) error {
	_, err := tx.exec(`INSERT INTO leader (one, holder, epoch, renewals) VALUES (1, ?, ?, 1)
		ON CONFLICT (one) DO UPDATE SET holder = excluded.holder, epoch = excluded.epoch, renewals = leader.renewals + 1`, holder, int64(epoch))
	if err == nil {
		_, err = tx.exec(`DELETE FROM leader_watch`)
	}
	if err != nil {
		return fmt.Errorf("take the lead: %w", err)
	}
	return nil
}

// leaderStale notes what a holder sees of the leader, and reports whether it has seen no renewal for a term.
func (tx *Tx) leaderStale(holder string, l Leader, now time.Time, term time.Duration) (bool, error) {
	var renewals, since int64
	err := tx.one(`SELECT renewals, since FROM leader_watch WHERE holder = ?`, []any{holder}, &renewals, &since)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return false, fmt.Errorf("watch the leader: %w", err)
	}
	if err == nil && renewals == l.renewals && now.UnixMicro() >= since {
		return now.Sub(at(since)) >= term, nil
	}
	_, err = tx.exec(`INSERT INTO leader_watch (holder, renewals, since) VALUES (?, ?, ?)
		ON CONFLICT (holder) DO UPDATE SET renewals = excluded.renewals, since = excluded.since`, holder, l.renewals, now.UnixMicro())
	if err != nil {
		return false, fmt.Errorf("watch the leader: %w", err)
	}
	return false, nil
}
