// Package rulebook keeps the policy set that is in force, loaded, so that a tap does not parse it; and the shifts beside it.
//
// Whoever decides asks it inside a view or an update, and gets the set that this snapshot of the store has in force: of several brokers on one
// store none goes on with an old one, and none decides by half of a new one. A set that does not load any more, after an update of the broker say, does not stop
// anybody: the last one that loads decides, and the trouble is told. It puts the default set in force when there is none. It evaluates nothing.
package rulebook

import (
	"errors"
	"fmt"
	"sync"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/broker/directory"
	"tapline/broker/policy"
	"tapline/broker/shift"
	"tapline/broker/store"
)

// Book is the policy set in force, and the shifts. Its zero value is ready.
type Book struct {
	mu      sync.Mutex  // guards what follows
	version string      // in force in the store when loaded was
	loaded  *policy.Set // what decides for it
	trouble string      // why another set decides; empty when none does
	plan    shift.Plan
	planned uint64 // generation of the directory that plan was made of, plus one; 0 for no plan
}

// lookBack bounds how many earlier sets are tried when the one in force does not load.
const lookBack = 100

// InForce gives the set that is in force in tx.
func (b *Book) InForce(tx *store.Tx) (*policy.Set, error) {
	version, err := tx.PolicyVersion()
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.loaded != nil && b.version == version {
		return b.loaded, nil
	}
	set, trouble, err := lastGood(tx, version)
	if err != nil {
		return nil, err
	}
	b.version, b.loaded, b.trouble = version, set, trouble
	return set, nil
}

// Trouble is why another set decides than the one that was put in force last; empty when none does.
func (b *Book) Trouble() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.trouble
}

// lastGood loads the set in force, or the newest before it that loads, or one that refuses everything and says why.
func lastGood(tx *store.Tx, version string) (*policy.Set, string, error) {
	p, err := tx.Policy(version)
	if err != nil {
		return nil, "", err
	}
	set, bad := policy.LoadStored(p.GetText())
	if bad == nil {
		return set, "", nil
	}
	before, err := tx.Policies(store.Page{Size: lookBack})
	if err != nil {
		return nil, "", err
	}
	for _, b := range before {
		if set, err := policy.LoadStored(b.Policy.GetText()); err == nil {
			return set, fmt.Sprintf("policy %s, which is in force, does not load; %s decides instead: %s", version, set.Version(), bad), nil
		}
	}
	why := fmt.Sprintf("policy %s, which is in force, does not load, nor does one before it: %s", version, bad)
	return policy.Broken(version, why), why, nil
}

// Shifts gives the shifts of tx, for a person with these; nothing is read for one without.
func (b *Book) Shifts(tx *store.Tx, of []string) (shift.Plan, error) {
	if len(of) == 0 {
		return nil, nil //nolint:nilnil // an empty plan
	}
	generation, err := tx.Generation()
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.planned == generation+1 {
		return b.plan, nil
	}
	plan, err := directory.Shifts(tx)
	if err != nil {
		return nil, err
	}
	b.plan, b.planned = plan, generation+1
	return plan, nil
}

// EnsureDefault puts the default set in force if there is none, or only that of an earlier version that nobody has changed.
func EnsureDefault(tx *store.Tx, now time.Time) error {
	have, err := tx.Policy("")
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return err
	case have.GetAuthor() != defaultAuthor || have.GetComment() != defaultComment || have.GetVersion() == policy.Version(policy.Default()):
		return nil
	}
	set, err := policy.Load(policy.Default())
	if err != nil {
		return fmt.Errorf("default policy: %w", err)
	}
	return Put(tx, set, defaultAuthor, defaultComment, now)
}

// How a default set is known in the history.
const (
	defaultAuthor  = "tapbroker"
	defaultComment = "default"
)

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
