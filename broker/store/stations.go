package store

import (
	"encoding/json"
	"fmt"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/proto/record"
)

// Station is a station: how it shall be, and what the broker knows of it.
type Station struct {
	Entry       *taplinev1.Station // what an administrator wrote; its other fields are not set
	State       taplinev1.StationState
	StateReason string
	Join        Join
	Chain       record.ChainID // the one it writes; empty before enrolment
	LastSeenAt  time.Time
	Bundle      uint64 // the one it said it has
	Build       string
	Hints       map[string]string
}

// Join is where a station's identity stands.
type Join struct {
	IdentityKey []byte // SPKI, DER
	Sequence    uint64 // of the newest certificate; 0 before enrolment
	Request     []byte // digest of the request that Reply answers
	Reply       []byte // sealed
	EnrolledAt  time.Time
	ExpiresAt   time.Time // the newest certificate's end
}

// ID is the station's name.
func (s Station) ID() record.StationID { return record.StationID(s.Entry.GetId()) }

const stationColumns = `doc, revision, state, state_reason, identity_key, chain, join_sequence, last_request, last_reply, enrolled_at,
	certificate_expires_at, last_seen_at, bundle, build, hints`

func scanStation(r scanner) (Station, error) {
	s := Station{Entry: &taplinev1.Station{}}
	var doc, hints string
	var revision, join, enrolled, expires, seen, bundle int64
	var state int32
	err := r.Scan(&doc, &revision, &state, &s.StateReason, &s.Join.IdentityKey, &s.Chain, &join, &s.Join.Request, &s.Join.Reply,
		&enrolled, &expires, &seen, &bundle, &s.Build, &hints)
	if err != nil {
		return s, err
	}
	if err := readDocument(doc, s.Entry); err != nil {
		return s, err
	}
	if err := json.Unmarshal([]byte(hints), &s.Hints); err != nil {
		return s, fmt.Errorf("decode hints: %w", err)
	}
	s.Entry.Revision, s.State = uint64(revision), taplinev1.StationState(state)
	s.Join.Sequence, s.Join.EnrolledAt, s.Join.ExpiresAt = uint64(join), at(enrolled), at(expires)
	s.LastSeenAt, s.Bundle = at(seen), uint64(bundle)
	return s, nil
}

// Station reads one station.
func (tx *Tx) Station(id record.StationID) (Station, error) {
	found, err := all(tx, scanStation, stationByID, string(id))
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Station{}, fmt.Errorf("station %s: %w", id, err)
	}
	return found[0], nil
}

// PutStation writes how a station shall be and gives its new revision. If it has a revision, the stored one must be the same: ErrRevision.
func (tx *Tx) PutStation(entry *taplinev1.Station) (uint64, error) {
	doc, err := document(&taplinev1.Station{
		Id: entry.GetId(), Mode: entry.GetMode(), Account: entry.GetAccount(), Zone: entry.GetZone(), Terms: entry.GetTerms(),
		RequiresCertifications: entry.GetRequiresCertifications(), RequiresAssurance: entry.GetRequiresAssurance(),
	})
	if err != nil {
		return 0, fmt.Errorf("put station %s: %w", entry.GetId(), err)
	}
	revision, err := tx.put("stations", entry.GetId(), doc, entry.GetRevision())
	if err != nil {
		return 0, fmt.Errorf("put station %s: %w", entry.GetId(), err)
	}
	return revision, nil
}

// Stations lists stations by ID.
func (tx *Tx) Stations(p Page) ([]Station, error) {
	found, err := all(tx, scanStation, `SELECT `+stationColumns+` FROM stations WHERE id > ? AND LOWER(id) LIKE ? ESCAPE '\'
		ORDER BY id LIMIT ?`, p.After, p.like(), p.Size)
	if err != nil {
		return nil, fmt.Errorf("list stations: %w", err)
	}
	return found, nil
}

// DeleteStation removes a station. Its chains and records stay.
func (tx *Tx) DeleteStation(id record.StationID) error {
	if _, err := tx.exec(`DELETE FROM bundles WHERE station = ?`, string(id)); err != nil {
		return fmt.Errorf("delete station %s: %w", id, err)
	}
	if err := tx.ForgetStanding(id); err != nil {
		return err
	}
	return tx.remove("station", `DELETE FROM stations WHERE id = ?`, string(id))
}

// SetStationState changes what a station is to the broker.
func (tx *Tx) SetStationState(id record.StationID, state taplinev1.StationState, reason string) error {
	return tx.touchStation(id, `UPDATE stations SET state = ?, state_reason = ? WHERE id = ?`, int32(state), reason, string(id))
}

// SetStationJoin writes where a station's identity stands.
func (tx *Tx) SetStationJoin(id record.StationID, j Join) error {
	return tx.touchStation(id, `UPDATE stations SET identity_key = ?, join_sequence = ?, last_request = ?, last_reply = ?, enrolled_at = ?,
		certificate_expires_at = ? WHERE id = ?`,
		j.IdentityKey, int64(j.Sequence), j.Request, j.Reply, micro(j.EnrolledAt), micro(j.ExpiresAt), string(id))
}

// SetStationChain writes which chain a station writes, and what it said of itself when it enrolled.
func (tx *Tx) SetStationChain(id record.StationID, chain record.ChainID, build string, hints map[string]string) error {
	if hints == nil {
		hints = map[string]string{}
	}
	said, err := json.Marshal(hints)
	if err != nil {
		return fmt.Errorf("encode hints: %w", err)
	}
	return tx.touchStation(id, `UPDATE stations SET chain = ?, build = ?, hints = ? WHERE id = ?`, string(chain), build, string(said), string(id))
}

// SeeStation notes a sign of life.
func (tx *Tx) SeeStation(id record.StationID, now time.Time, bundle uint64, build string) error {
	return tx.touchStation(id, `UPDATE stations SET last_seen_at = ?, bundle = ?, build = ? WHERE id = ?`,
		micro(now), int64(bundle), build, string(id))
}

func (tx *Tx) touchStation(id record.StationID, query string, args ...any) error {
	n, err := tx.exec(query, args...)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("write station %s: %w", id, err)
	}
	return nil
}
