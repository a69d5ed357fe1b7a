package store

import (
	"fmt"
	"time"

	taplinev1 "tapline/proto/tapline/v1"
)

// Tallies is how much there is of what comes and goes. Each is counted over an index of what is in force.
type Tallies struct {
	Sessions   map[SessionKind]int // that go on, as the records tell it
	Leases     int                 // in force
	Alarms     int                 // that nobody has closed
	Unverified int                 // records whose own signature nobody has checked yet
	Bundles    int                 // of enrolled stations
	Stale      int                 // of them made before the last change of the directory
	Oldest     time.Time           // when the oldest of them was issued; zero for none
}

// Tallies counts.
func (tx *Tx) Tallies() (Tallies, error) {
	t := Tallies{Sessions: map[SessionKind]int{Named: 0, Emergency: 0, Unattributed: 0}}
	type count struct {
		kind SessionKind
		n    int
	}
	kinds, err := all(tx, func(r scanner) (c count, err error) { return c, r.Scan(&c.kind, &c.n) },
		`SELECT kind, COUNT(*) FROM sessions WHERE closed_at = 0 GROUP BY kind`)
	if err != nil {
		return t, fmt.Errorf("count sessions: %w", err)
	}
	for _, c := range kinds {
		t.Sessions[c.kind] = c.n
	}
	if err := tx.one(`SELECT COUNT(*) FROM leases WHERE ended_at = 0`, nil, &t.Leases); err != nil {
		return t, fmt.Errorf("count leases: %w", err)
	}
	if t.Alarms, err = tx.OpenAlarms(); err != nil {
		return t, err
	}
	if err := tx.one(`SELECT COUNT(*) FROM records WHERE verified = 0`, nil, &t.Unverified); err != nil {
		return t, fmt.Errorf("count unverified records: %w", err)
	}
	generation, err := tx.Generation()
	if err != nil {
		return t, err
	}
	var oldest int64
	err = tx.one(`SELECT COUNT(*), COALESCE(SUM(CASE WHEN b.generation < ? THEN 1 ELSE 0 END), 0), COALESCE(MIN(b.issued_at), 0)
		FROM bundles b JOIN stations s ON s.id = b.station WHERE s.state = ?`,
		[]any{int64(generation), int(taplinev1.StationState_STATION_STATE_ENROLLED)}, &t.Bundles, &t.Stale, &oldest)
	if err != nil {
		return t, fmt.Errorf("count bundles: %w", err)
	}
	if t.Bundles > 0 {
		t.Oldest = at(oldest)
	}
	return t, nil
}
