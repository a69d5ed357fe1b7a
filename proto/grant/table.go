package grant

import (
	"errors"
	"fmt"
	"time"

	"tapline/proto/record"
)

// Errors of Open.
var (
	// ErrWrongStation says that the bundle is another station's.
	ErrWrongStation = errors.New("bundle is for another station")
	// ErrVersion says that the bundle is of a version that this build does not read.
	ErrVersion = errors.New("bundle version is not known")
	// ErrMalformed says that the bundle contradicts itself.
	ErrMalformed = errors.New("bundle is malformed")
)

// Table is an opened bundle, ready to be asked. It does not change.
type Table struct {
	bundle Bundle
	byRef  map[record.BadgeRef]int
}

// Open verifies a bundle's signature and that it is this station's, and indexes it.
func Open(envelope []byte, evidence record.PublicKey, station record.StationID) (*Table, error) {
	e, err := record.ParseEnvelope(envelope)
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	var b Bundle
	if err := record.OpenStatement(e, PayloadType, evidence, &b); err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	switch {
	case b.Version != Version:
		return nil, fmt.Errorf("%w: %d", ErrVersion, b.Version)
	case b.Station != station:
		return nil, fmt.Errorf("%w: %s, not %s", ErrWrongStation, b.Station, station)
	case b.Sequence == 0 || !b.NotAfter.After(b.IssuedAt):
		return nil, fmt.Errorf("%w: sequence %d, from %s to %s", ErrMalformed, b.Sequence, b.IssuedAt, b.NotAfter)
	}
	if err := b.sound(); err != nil {
		return nil, err
	}
	t := &Table{bundle: b, byRef: make(map[record.BadgeRef]int, len(b.Grants))}
	for i, g := range b.Grants {
		if _, twice := t.byRef[g.Badge]; twice {
			return nil, fmt.Errorf("%w: badge %s stands twice", ErrMalformed, g.Badge)
		}
		t.byRef[g.Badge] = i
	}
	return t, nil
}

// Bundle is what the table was made of. The caller does not change it.
func (t *Table) Bundle() *Bundle { return &t.bundle }

// Lookup finds the grant of a badge.
func (t *Table) Lookup(ref record.BadgeRef) (Grant, bool) {
	i, ok := t.byRef[ref]
	if !ok {
		return Grant{}, false
	}
	return t.bundle.Grants[i], true
}

// Tier is the tier in force at a time. A time before the issue counts as age 0; past the bundle's end only an emergency is left.
func (t *Table) Tier(now time.Time) TierName {
	if !now.Before(t.bundle.NotAfter) {
		return TierEmergency
	}
	age := int64(now.Sub(t.bundle.IssuedAt).Seconds())
	for _, tier := range t.bundle.Tiers {
		if age < tier.UntilSeconds {
			return tier.Name
		}
	}
	return TierEmergency
}
