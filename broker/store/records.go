package store

import (
	"fmt"
	"strings"
	"time"

	"tapline/proto/record"
)

// Record is a stored record.
type Record struct {
	Cursor     uint64
	Station    record.StationID
	Chain      record.ChainID
	Seq        record.Seq
	Epoch      record.Epoch
	Envelope   []byte
	ReceivedAt time.Time
	Verified   bool   // its own signature was checked, whatever came of it
	Fault      string // empty unless it is bad
}

const recordColumns = `cursor, station, chain, seq, epoch, envelope, received_at, verified, fault`

func scanRecord(r scanner) (Record, error) {
	var v Record
	var cursor, seq, epoch, received int64
	var verified int
	err := r.Scan(&cursor, &v.Station, &v.Chain, &seq, &epoch, &v.Envelope, &received, &verified, &v.Fault)
	v.Cursor, v.Seq, v.Epoch, v.ReceivedAt = uint64(cursor), record.Seq(seq), record.Epoch(epoch), at(received)
	v.Verified = verified != 0
	return v, err
}

// Filter chooses records and sessions; every field that is set must match.
type Filter struct {
	Stations []string // one ending in "/" takes all below
	People   []string
	Types    []string
	From     time.Time // of the wall clock
	Until    time.Time // not included
	Session  record.SessionID
}

// where is the filter in SQL. wall and types are the columns' names; empty if there is none.
func (f Filter) where(wall, types string) (string, []any) {
	var parts []string
	var args []any
	either := func(alternatives []string) {
		if len(alternatives) > 0 {
			parts = append(parts, "("+strings.Join(alternatives, " OR ")+")")
		}
	}
	var stations []string
	for _, s := range f.Stations {
		if level, below := strings.CutSuffix(s, "/"); below {
			// "0" follows "/" in every encoding that we store: a range, so that the index serves it.
			stations, args = append(stations, "(station >= ? AND station < ?)"), append(args, s, level+"0")
			continue
		}
		stations, args = append(stations, "station = ?"), append(args, s)
	}
	either(stations)
	in := func(column string, values []string) {
		if column == "" || len(values) == 0 {
			return
		}
		parts = append(parts, column+" IN (?"+strings.Repeat(", ?", len(values)-1)+")")
		for _, v := range values {
			args = append(args, v)
		}
	}
	in("person", f.People)
	if len(f.People) > 0 {
		parts = append(parts, "person <> ''") // as the index says, or it is not used
	}
	in(types, f.Types)
	compare := func(clause string, value any, set bool) {
		if set {
			parts, args = append(parts, clause), append(args, value)
		}
	}
	compare(wall+" >= ?", micro(f.From), !f.From.IsZero())
	compare(wall+" < ?", micro(f.Until), !f.Until.IsZero())
	compare("session = ? AND session <> ''", string(f.Session), f.Session != "")
	if len(parts) == 0 {
		return "1 = 1", nil
	}
	return strings.Join(parts, " AND "), args
}

// Records reads records that match and come after a cursor, in the order of their cursors, limit at most.
func (tx *Tx) Records(f Filter, after uint64, limit int) ([]Record, error) {
	where, args := f.where("wall", "type")
	if !f.From.IsZero() && !f.Until.IsZero() { // what came in between may be read through, and not all that ever came
		span := ` FROM records WHERE wall >= ? AND wall < ?)`
		where += ` AND cursor >= (SELECT MIN(cursor)` + span + ` AND cursor <= (SELECT MAX(cursor)` + span
		args = append(args, micro(f.From), micro(f.Until), micro(f.From), micro(f.Until))
	}
	found, err := all(tx, scanRecord, `SELECT `+recordColumns+` FROM records WHERE `+where+` AND cursor > ? ORDER BY cursor LIMIT ?`,
		append(args, int64(after), limit)...)
	if err != nil {
		return nil, fmt.Errorf("read records: %w", err)
	}
	return found, nil
}

// ChainRecords reads records of a chain from a number on, limit at most.
func (tx *Tx) ChainRecords(chain record.ChainID, from record.Seq, limit int) ([]Record, error) {
	found, err := all(tx, scanRecord, `SELECT `+recordColumns+` FROM records WHERE chain = ? AND seq >= ? ORDER BY seq LIMIT ?`,
		string(chain), int64(from), limit)
	if err != nil {
		return nil, fmt.Errorf("read records of chain %s: %w", chain, err)
	}
	return found, nil
}

// Unverified reads records whose own signature nobody has checked, limit at most.
func (tx *Tx) Unverified(limit int) ([]Record, error) {
	found, err := all(tx, scanRecord, `SELECT `+recordColumns+` FROM records WHERE verified = 0 ORDER BY cursor LIMIT ?`, limit)
	if err != nil {
		return nil, fmt.Errorf("read unverified records: %w", err)
	}
	return found, nil
}

// SetVerified notes that a record's signature was checked; fault is empty if it is good.
func (tx *Tx) SetVerified(cursor uint64, fault string) error {
	verified := 1
	if fault != "" {
		verified = 2
	}
	if _, err := tx.exec(`UPDATE records SET verified = ?, fault = ? WHERE cursor = ?`, verified, fault, int64(cursor)); err != nil {
		return fmt.Errorf("note verification of record %d: %w", cursor, err)
	}
	return nil
}

// LastCursor is the cursor of the newest record; 0 before the first.
func (tx *Tx) LastCursor() (uint64, error) { return tx.Count("cursor") }

// Reject is a batch that was refused.
type Reject struct {
	ID         string
	Station    record.StationID
	Chain      record.ChainID
	FirstSeq   record.Seq
	ReceivedAt time.Time
	Fault      record.FaultKind
	Detail     string
	Batch      [][]byte
}

// RejectLimit is how many refused batches are kept of a station: the first ones, which tell how it began.
const RejectLimit = 100

// AddReject keeps a refused batch, one envelope a line, unless there are too many of the station already.
func (tx *Tx) AddReject(r Reject) error {
	var lines strings.Builder
	for _, b := range r.Batch {
		lines.Write(b)
		lines.WriteByte('\n')
	}
	_, err := tx.exec(`INSERT INTO rejects (id, station, chain, first_seq, received_at, fault, detail, batch)
		SELECT ?, ?, ?, ?, ?, ?, ?, ? WHERE (SELECT COUNT(*) FROM rejects WHERE station = ?) < ?`,
		r.ID, string(r.Station), string(r.Chain), int64(r.FirstSeq), micro(r.ReceivedAt), string(r.Fault), r.Detail, []byte(lines.String()),
		string(r.Station), RejectLimit)
	if err != nil {
		return fmt.Errorf("keep refused batch: %w", err)
	}
	return nil
}

// Rejects counts the refused batches that are kept of a station.
func (tx *Tx) Rejects(station record.StationID) (int, error) {
	var n int
	if err := tx.one(`SELECT COUNT(*) FROM rejects WHERE station = ?`, []any{string(station)}, &n); err != nil {
		return 0, fmt.Errorf("count refused batches: %w", err)
	}
	return n, nil
}
