package store

import (
	"fmt"
	"time"

	"tapline/proto/record"
)

// Bundle is the newest grant bundle of a station.
type Bundle struct {
	Station    record.StationID
	Sequence   uint64
	Generation uint64 // of the directory it was made from or compared to
	Digest     []byte // of what it grants, without number and times
	Envelope   []byte
	IssuedAt   time.Time
}

// Bundle reads a station's newest bundle.
func (tx *Tx) Bundle(station record.StationID) (Bundle, error) {
	b := Bundle{Station: station}
	var sequence, generation, issued int64
	err := tx.one(`SELECT sequence, generation, digest, envelope, issued_at FROM bundles WHERE station = ?`, []any{string(station)},
		&sequence, &generation, &b.Digest, &b.Envelope, &issued)
	if err != nil {
		return b, fmt.Errorf("bundle of %s: %w", station, err)
	}
	b.Sequence, b.Generation, b.IssuedAt = uint64(sequence), uint64(generation), at(issued)
	return b, nil
}

// BundleMark is Bundle without what it grants: its number, generation and time.
func (tx *Tx) BundleMark(station record.StationID) (Bundle, error) {
	b := Bundle{Station: station}
	var sequence, generation, issued int64
	err := tx.one(`SELECT sequence, generation, issued_at FROM bundles WHERE station = ?`, []any{string(station)}, &sequence, &generation, &issued)
	if err != nil {
		return b, fmt.Errorf("bundle of %s: %w", station, err)
	}
	b.Sequence, b.Generation, b.IssuedAt = uint64(sequence), uint64(generation), at(issued)
	return b, nil
}

// KeepBundle notes that a station's newest bundle was compared to a later generation of the directory and still grants the same.
func (tx *Tx) KeepBundle(station record.StationID, generation uint64) error {
	if _, err := tx.exec(`UPDATE bundles SET generation = ? WHERE station = ? AND generation < ?`, int64(generation), string(station), int64(generation)); err != nil {
		return fmt.Errorf("keep bundle of %s: %w", station, err)
	}
	return nil
}

// PutBundle writes a station's newest bundle.
func (tx *Tx) PutBundle(b Bundle) error {
	_, err := tx.exec(`INSERT INTO bundles (station, sequence, generation, digest, envelope, issued_at) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (station) DO UPDATE SET sequence = excluded.sequence, generation = excluded.generation, digest = excluded.digest,
		envelope = excluded.envelope, issued_at = excluded.issued_at`,
		string(b.Station), int64(b.Sequence), int64(b.Generation), b.Digest, b.Envelope, micro(b.IssuedAt))
	if err != nil {
		return fmt.Errorf("put bundle of %s: %w", b.Station, err)
	}
	return nil
}
