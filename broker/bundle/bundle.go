// Package bundle makes grant bundles: for each station the signed list by which it decides when the broker is away.
//
// The station service asks for a station's current bundle; a task of the broker makes new ones for the stations on the line when the directory or
// the policy has changed. A bundle holds, for each badge, what the policy will say at this station, as long as nobody changes anything: at each
// minute of the week, with and without a PIN, in and off shift, until and after a certification lapses. Its sequence number only rises, also over the
// deletion of a station; a bundle is made anew every few hours, because its age is what limits it.
//
// Whoever makes bundles waits for their turn: however many stations there are, and however often the directory changes, bundles take one processor and
// everything that they have in common is read once. Taps go on beside them.
//
// A badge number is opened here to hash it under the station's own key, and goes nowhere else. A quarantined station gets no bundle.
package bundle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/directory"
	"tapline/broker/identity"
	"tapline/broker/rulebook"
	"tapline/broker/store"
	"tapline/proto/grant"
	"tapline/proto/record"
	"tapline/proto/wire"
)

// Lifetimes.
const (
	Life = 14 * 24 * time.Hour
	// Fresh is the age at which a bundle is made anew although nothing has changed.
	Fresh = 4 * time.Hour
)

// Maker makes bundles.
type Maker struct {
	Store     *store.Store
	Directory directory.Directory
	Rules     *rulebook.Book
	Evidence  *identity.Evidence
	SiteKey   []byte
	Now       func() time.Time

	making sync.Mutex // held over the making of one bundle; guards roll
	roll   *roll
}

// Mark is the station's bundle without what it grants. It is false when there is none, or it is out of date: Current makes the next one. An error of the
// kind Precondition says that the station gets none.
func (m *Maker) Mark(ctx context.Context, station record.StationID) (have store.Bundle, good bool, err error) {
	err = m.Store.View(ctx, func(tx *store.Tx) error {
		generation, err := tx.Generation()
		if err != nil {
			return err
		}
		if _, err := enrolled(tx, station); err != nil {
			return err
		}
		have, err = tx.BundleMark(station)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		age := m.Now().Sub(have.IssuedAt)
		good = have.Generation == generation && age >= 0 && age < Fresh
		return err
	})
	return have, good, err
}

// Renew makes the station's bundle if there is none or it is out of date, and gives its mark.
func (m *Maker) Renew(ctx context.Context, station record.StationID) (store.Bundle, error) {
	have, good, err := m.Mark(ctx, station)
	if err != nil || good {
		return have, err
	}
	m.making.Lock()
	defer m.making.Unlock()
	if err := ctx.Err(); err != nil {
		return have, fmt.Errorf("bundle of %s: waited for a turn: %w", station, err)
	}
	if have, good, err = m.Mark(ctx, station); err != nil || good { // made meanwhile
		return have, err
	}
	return m.issue(ctx, station)
}

// Current gives the station's bundle, making it if there is none or it is out of date.
func (m *Maker) Current(ctx context.Context, station record.StationID) (have store.Bundle, err error) {
	if _, err := m.Renew(ctx, station); err != nil {
		return have, err
	}
	err = m.Store.View(ctx, func(tx *store.Tx) (err error) {
		if _, err := enrolled(tx, station); err != nil {
			return err
		}
		have, err = tx.Bundle(station)
		return err
	})
	return have, err
}

// issue makes the station's next bundle, unless it would grant what the one in force does. The caller holds making.
func (m *Maker) issue(ctx context.Context, station record.StationID) (store.Bundle, error) {
	var draft grant.Bundle
	var generation uint64
	err := m.Store.View(ctx, func(tx *store.Tx) (err error) {
		if generation, err = tx.Generation(); err != nil {
			return err
		}
		if m.roll == nil || m.roll.generation != generation {
			if m.roll, err = readRoll(tx, generation); err != nil {
				return err
			}
		}
		draft, err = m.draft(tx, station)
		return err
	})
	if err != nil {
		return store.Bundle{}, err
	}
	plain, err := json.Marshal(draft)
	if err != nil {
		return store.Bundle{}, fmt.Errorf("encode bundle: %w", err)
	}
	digest := sha256.Sum256(plain)
	var out store.Bundle
	err = m.Store.Update(ctx, func(tx *store.Tx) (err error) {
		out, err = m.number(tx, draft, digest[:], generation)
		return err
	})
	return out, err
}

// number gives a draft its number and times, signs and stores it.
func (m *Maker) number(tx *store.Tx, draft grant.Bundle, digest []byte, generation uint64) (store.Bundle, error) {
	now := m.Now().UTC().Truncate(time.Second)
	have, err := tx.Bundle(draft.Station)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return have, err
	}
	if err == nil && bytes.Equal(have.Digest, digest) && now.Sub(have.IssuedAt) < Fresh && !now.Before(have.IssuedAt) {
		have.Generation = max(have.Generation, generation)
		return have, tx.KeepBundle(have.Station, have.Generation)
	}
	sequence, err := tx.Next("bundle of "+string(draft.Station), 1)
	if err != nil {
		return have, err
	}
	draft.Sequence, draft.IssuedAt, draft.NotAfter = sequence, now, now.Add(life(draft.Tiers))
	e, err := m.Evidence.Sign(grant.PayloadType, &draft)
	if err != nil {
		return have, err
	}
	b := store.Bundle{
		Station: draft.Station, Sequence: sequence, Generation: generation, Digest: digest, Envelope: e.Bytes(), IssuedAt: now,
	}
	return b, tx.PutBundle(b)
}

// enrolled gives a station that may have a bundle. The state is no part of the generation, so it is looked at each time.
func enrolled(tx *store.Tx, station record.StationID) (store.Station, error) {
	s, err := tx.Station(station)
	if err == nil && s.State != taplinev1.StationState_STATION_STATE_ENROLLED {
		err = wire.E(wire.Precondition, "station %s gets no bundle while it is quarantined (%s)", station, s.StateReason)
	}
	return s, err
}
