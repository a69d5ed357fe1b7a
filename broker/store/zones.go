package store

import (
	"errors"
	"fmt"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/proto/record"
)

// Zone reads one zone; nil for one that nobody has described, which demands nothing.
func (tx *Tx) Zone(id string) (*taplinev1.Zone, error) {
	if id == "" {
		return nil, nil //nolint:nilnil // a station without a zone is usual
	}
	var doc string
	var revision int64
	err := tx.one(zoneByID, []any{id}, &doc, &revision)
	if errors.Is(err, ErrNotFound) {
		return nil, nil //nolint:nilnil // see above
	}
	if err != nil {
		return nil, fmt.Errorf("zone %s: %w", id, err)
	}
	return readZone(doc, revision)
}

func readZone(doc string, revision int64) (*taplinev1.Zone, error) {
	z := &taplinev1.Zone{}
	if err := readDocument(doc, z); err != nil {
		return nil, fmt.Errorf("read zone: %w", err)
	}
	z.Revision = uint64(revision)
	return z, nil
}

// PutZone writes z and gives its new revision. If z has a revision, the stored one must be the same: ErrRevision.
func (tx *Tx) PutZone(z *taplinev1.Zone) (uint64, error) {
	doc, err := document(z)
	if err != nil {
		return 0, fmt.Errorf("put zone %s: %w", z.GetId(), err)
	}
	revision, err := tx.put("zones", z.GetId(), doc, z.GetRevision())
	if err != nil {
		return 0, fmt.Errorf("put zone %s: %w", z.GetId(), err)
	}
	return revision, nil
}

// Zones lists zones by ID.
func (tx *Tx) Zones(p Page) ([]*taplinev1.Zone, error) {
	found, err := all(tx, func(r scanner) (*taplinev1.Zone, error) {
		var doc string
		var revision int64
		if err := r.Scan(&doc, &revision); err != nil {
			return nil, err
		}
		return readZone(doc, revision)
	}, `SELECT doc, revision FROM zones WHERE id > ? AND LOWER(id) LIKE ? ESCAPE '\' ORDER BY id LIMIT ?`, p.After, p.like(), p.Size)
	if err != nil {
		return nil, fmt.Errorf("list zones: %w", err)
	}
	return found, nil
}

// ZoneUser names a station that is in a zone; empty if none is.
func (tx *Tx) ZoneUser(id string) (record.StationID, error) {
	stations, err := tx.Stations(Page{Size: 1 << 30})
	if err != nil {
		return "", err
	}
	for _, s := range stations {
		if s.Entry.GetZone() == id {
			return s.ID(), nil
		}
	}
	return "", nil
}

// DeleteZone removes a zone.
func (tx *Tx) DeleteZone(id string) error {
	return tx.remove("zone", `DELETE FROM zones WHERE id = ?`, id)
}
