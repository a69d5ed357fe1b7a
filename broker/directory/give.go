package directory

import (
	"errors"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/broker/store"
	"tapline/proto/wire"
)

// Reasons of a revocation that the broker itself gives.
const (
	// Replaced is a badge whose place another one took.
	Replaced = "replaced"
	// Expired is a badge past its end whose number is given to somebody.
	Expired = "expired"
)

// Give gives a badge to its person. A number is in force for one person at a time: the error says who has it. One that has ended by its time is free.
func Give(tx *store.Tx, b store.Badge, now time.Time) error {
	have, err := tx.BadgeByLookup(b.Lookup)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err == nil && !have.Revoked {
		if !have.Ended(now) || !have.LostAt.IsZero() {
			return wire.E(wire.Exists, "badge: %s has it; revoke it first", have.Person)
		}
		if err := tx.RevokeBadge(have.ID, Expired); err != nil {
			return err
		}
	}
	return tx.AddBadge(b)
}

// Used notes that a badge has opened a session. The one whose place it takes is revoked with that.
func Used(tx *store.Tx, b store.Badge, now time.Time) error {
	if err := tx.UseBadge(b.ID, now); err != nil {
		return err
	}
	if b.Replaces == "" {
		return nil
	}
	old, err := tx.Badge(b.Replaces)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err == nil && !old.Revoked {
		if err := tx.RevokeBadge(old.ID, Replaced); err != nil {
			return err
		}
	}
	if err := tx.SettleBadge(b.ID); err != nil {
		return err
	}
	return tx.Changed()
}

// Until is the terms of a session, ended with the badge that opened it at the latest.
func Until(t *taplinev1.SessionTerms, b store.Badge) *taplinev1.SessionTerms {
	if b.NotAfter.IsZero() || t.GetEndsAt() != nil && !b.NotAfter.Before(t.GetEndsAt().AsTime()) {
		return t
	}
	bounded := &taplinev1.SessionTerms{}
	if t != nil {
		bounded = proto.CloneOf(t)
	}
	bounded.EndsAt = timestamppb.New(b.NotAfter)
	return bounded
}
