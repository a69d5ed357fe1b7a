// Package rulebook keeps the policy set that is in force, loaded, so that a tap does not parse it.
//
// Whoever decides asks it inside a view or an update, and gets the set that this snapshot of the store has in force: of several brokers on one
// store none goes on with an old one. It puts the default set in force when there is none. It evaluates nothing.
package rulebook

import (
	"errors"
	"fmt"
	"sync"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/broker/policy"
	"tapline/broker/store"
)

// Book is the policy set in force. Its zero value is ready.
type Book struct {
	mu     sync.Mutex // guards loaded
	loaded *policy.Set
}

// InForce gives the set that is in force in tx.
func (b *Book) InForce(tx *store.Tx) (*policy.Set, error) {
	version, err := tx.PolicyVersion()
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.loaded != nil && b.loaded.Version() == version {
		return b.loaded, nil
	}
	p, err := tx.Policy(version)
	if err != nil {
		return nil, err
	}
	set, err := policy.Load(p.GetText())
	if err != nil {
		return nil, fmt.Errorf("policy %s, which is in force, does not load: %w", version, err)
	}
	b.loaded = set
	return set, nil
}

// EnsureDefault puts the default set in force if there is none.
func EnsureDefault(tx *store.Tx, now time.Time) error {
	if _, err := tx.PolicyVersion(); !errors.Is(err, store.ErrNotFound) {
		return err
	}
	set, err := policy.Load(policy.Default())
	if err != nil {
		return fmt.Errorf("default policy: %w", err)
	}
	return Put(tx, set, "tapbroker", "default", now)
}

// Put puts a set in force.
func Put(tx *store.Tx, set *policy.Set, author, comment string, now time.Time) error {
	err := tx.AddPolicy(&taplinev1.PolicySet{
		Version: set.Version(), Text: set.Text(), Since: timestamppb.New(now), Author: author, Comment: comment,
	}, now)
	if err != nil {
		return err
	}
	return tx.Changed()
}
