package ingest

import (
	"context"
	"errors"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"tapline/broker/alarm"
	"tapline/broker/store"
	"tapline/proto/record"
)

// verifyBatch is how many signatures are checked between two updates.
const verifyBatch = 500

func ignoreMissing(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// VerifyPending checks the own signatures of stored records until none is left, and says how many were checked. A bad one is marked and
// raises an alarm.
func (in *Ingest) VerifyPending(ctx context.Context) (int, error) {
	total := 0
	for {
		n, err := in.verifySome(ctx)
		total += n
		if n < verifyBatch || err != nil {
			return total, err
		}
	}
}

func (in *Ingest) verifySome(ctx context.Context) (int, error) {
	var pending []store.Record
	keys := map[epochID]record.PublicKey{}
	err := in.Store.View(ctx, func(tx *store.Tx) (err error) {
		if pending, err = tx.Unverified(verifyBatch); err != nil {
			return err
		}
		for _, r := range pending {
			id := epochID{r.Chain, r.Epoch}
			if _, ok := keys[id]; ok {
				continue
			}
			if keys[id], err = tx.EpochKey(r.Chain, r.Epoch); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || len(pending) == 0 {
		return 0, err
	}
	faults := verifyAll(pending, keys)
	now := in.Now()
	return len(pending), in.Store.Update(ctx, func(tx *store.Tx) error {
		var good []uint64
		for i, r := range pending {
			if faults[i] == "" {
				good = append(good, r.Cursor)
				continue
			}
			if err := note(tx, r, faults[i], now); err != nil {
				return err
			}
		}
		return tx.SetVerifiedGood(good)
	})
}

type epochID struct {
	chain record.ChainID
	epoch record.Epoch
}

// verifyAll checks signatures on half of the cores: taps come first.
func verifyAll(pending []store.Record, keys map[epochID]record.PublicKey) []record.FaultKind {
	faults := make([]record.FaultKind, len(pending))
	var g errgroup.Group
	workers := max(1, runtime.GOMAXPROCS(0)/2)
	for w := range workers {
		g.Go(func() error {
			for i := w; i < len(pending); i += workers {
				faults[i] = verifyOne(pending[i].Envelope, keys[epochID{pending[i].Chain, pending[i].Epoch}])
			}
			return nil
		})
	}
	_ = g.Wait()
	return faults
}

// verifyOne checks one signature; the result is empty if it is good.
func verifyOne(raw []byte, key record.PublicKey) record.FaultKind {
	e, err := record.ParseEnvelope(raw)
	switch {
	case err != nil:
		return record.FaultMalformed
	case e.KeyID() != key.ID() && e.Verify(key):
		return record.FaultKeyIDSwapped
	case e.KeyID() != key.ID():
		return record.FaultForeignKey
	case !e.Verify(key):
		return record.FaultBadSignature
	}
	return ""
}

// note writes what is wrong with a record, and raises the alarm.
func note(tx *store.Tx, r store.Record, fault record.FaultKind, now time.Time) error {
	if err := tx.SetVerified(r.Cursor, string(fault)); err != nil {
		return err
	}
	return alarm.Raise(tx, alarm.BadRecord, r.Station, now, "record %d of chain %s: %s", r.Seq, r.Chain, fault)
}
