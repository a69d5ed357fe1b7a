package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"tapline/broker/store"
)

// term is how long a leader that does not renew is waited for.
const term = 9 * time.Second

func (e Engine) lead(t *testing.T) {
	t.Run("one leads, and another only after a term without renewal, whatever the clocks say", e.takeOver)
	t.Run("a leader that resigns is followed at once", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			return errors.Join(leads(tx, "a", begin(), 1, true), leads(tx, "b", begin(), 1, false), tx.Resign("b"), tx.Fenced(1), tx.Resign("a"),
				want("after resigning", tx.Fenced(1), store.ErrFenced), leads(tx, "b", begin(), 2, true), leads(tx, "a", begin(), 2, false))
		})
	})
	t.Run("nobody leads an epoch that never was", func(t *testing.T) {
		do(t, e.fresh(t), func(tx *store.Tx) error {
			return errors.Join(want("before the first", tx.Fenced(0), store.ErrFenced), leads(tx, "a", begin(), 1, true),
				want("the next", tx.Fenced(2), store.ErrFenced))
		})
	})
}

// leads asks for the lead.
func leads(tx *store.Tx, holder string, now time.Time, epoch uint64, leader bool) error {
	gotEpoch, got, err := tx.Lead(holder, now, term)
	if err == nil && (gotEpoch != epoch || got != leader) {
		err = fmt.Errorf("%s at %s: epoch %d, leads %t, want %d and %t", holder, now.Format(time.TimeOnly), gotEpoch, got, epoch, leader)
	}
	return err
}

// takeOver has b's clock two hours ahead of a's.
func (e Engine) takeOver(t *testing.T) {
	s, ahead := e.fresh(t), begin().Add(2*time.Hour)
	for i := range 20 { // while a renews, b has no chance
		do(t, s, func(tx *store.Tx) error {
			at := time.Duration(i) * term / 3
			return errors.Join(leads(tx, "a", begin().Add(at), 1, true), leads(tx, "b", ahead.Add(at), 1, false), tx.Fenced(1))
		})
	}
	ahead = ahead.Add(19 * term / 3)
	do(t, s, func(tx *store.Tx) error {
		return errors.Join(leads(tx, "b", ahead.Add(term-time.Second), 1, false), tx.Fenced(1), leads(tx, "b", ahead.Add(term), 2, true))
	})
	// a was only slow, and still believes to lead: it cannot act any more, and what it began to do is undone.
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.Next("size", 1); err != nil {
			return err
		}
		return tx.Fenced(1)
	})
	if !errors.Is(err, store.ErrFenced) {
		t.Errorf("the old leader acted: %v", err)
	}
	do(t, s, func(tx *store.Tx) error {
		n, err := tx.Count("size")
		if n != 0 {
			err = errors.Join(err, fmt.Errorf("the old leader left %d", n))
		}
		// a's clock goes back an hour while it watches: it begins to watch anew and does not take over.
		return errors.Join(err, leads(tx, "a", begin().Add(time.Hour), 2, false), leads(tx, "a", begin(), 2, false), leads(tx, "a", begin().Add(term/2), 2, false),
			leads(tx, "a", begin().Add(term), 3, true))
	})
}
