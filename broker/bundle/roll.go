package bundle

import (
	"fmt"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/store"
	"tapline/proto/record"
)

// roll is everybody who has a badge, as the directory was at one generation: what all stations' bundles have in common. Badge numbers stay sealed in it.
type roll struct {
	generation uint64
	badges     []store.Badge
	people     map[record.PersonID]*taplinev1.PersonEntry
	pins       map[record.PersonID]string // verifiers
}

func readRoll(tx *store.Tx, generation uint64) (*roll, error) {
	r := &roll{generation: generation}
	var err error
	if r.badges, err = tx.EveryBadge(); err != nil {
		return nil, fmt.Errorf("read the roll: %w", err)
	}
	everybody, err := tx.EveryPerson()
	if err != nil {
		return nil, fmt.Errorf("read the roll: %w", err)
	}
	r.people = make(map[record.PersonID]*taplinev1.PersonEntry, len(everybody))
	for _, p := range everybody {
		r.people[record.PersonID(p.GetId())] = p
	}
	if r.pins, err = tx.EveryPIN(); err != nil {
		return nil, fmt.Errorf("read the roll: %w", err)
	}
	return r, nil
}
