package store

import (
	"fmt"
	"time"

	"tapline/proto/record"
)

const recordInsert = `INSERT INTO records (cursor, station, chain, seq, epoch, envelope, received_at, type, wall, session, person, verified) `

// addRecords writes records under the cursors from first on. Over a network they go in one statement: a hundred ways to the server and back
// would hold everybody's turn for a hundred times as long.
func (tx *Tx) addRecords(first uint64, entries []record.Entry, checked func(i int) bool, now time.Time) error {
	rows := newColumns(len(entries))
	for i, e := range entries {
		rows.add(first+uint64(i), e, checked(i))
	}
	var err error
	if tx.engine.name() == postgresName {
		_, err = tx.exec(recordInsert+`SELECT cursor, station, chain, seq, epoch, envelope, CAST(? AS BIGINT), type, wall, session, person, verified
			FROM unnest(CAST(? AS BIGINT[]), CAST(? AS TEXT[]), CAST(? AS TEXT[]), CAST(? AS BIGINT[]), CAST(? AS BIGINT[]), CAST(? AS BYTEA[]),
			CAST(? AS TEXT[]), CAST(? AS BIGINT[]), CAST(? AS TEXT[]), CAST(? AS TEXT[]), CAST(? AS INTEGER[]))
			AS r (cursor, station, chain, seq, epoch, envelope, type, wall, session, person, verified)`,
			micro(now), rows.cursor, rows.station, rows.chain, rows.seq, rows.epoch, rows.envelope, rows.kind, rows.wall, rows.session, rows.person, rows.verified)
	} else {
		for i := range entries {
			_, err = tx.exec(recordInsert+`VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, rows.cursor[i], rows.station[i], rows.chain[i], rows.seq[i],
				rows.epoch[i], rows.envelope[i], micro(now), rows.kind[i], rows.wall[i], rows.session[i], rows.person[i], rows.verified[i])
			if err != nil {
				break
			}
		}
	}
	if err != nil {
		return fmt.Errorf("add %d records from %d on: %w", len(entries), first, err)
	}
	return nil
}

// columns are the columns of records that are to be written.
type columns struct {
	cursor, seq, epoch, wall              []int64
	station, chain, kind, session, person []string
	envelope                              [][]byte
	verified                              []int32
}

func newColumns(n int) *columns {
	number := func() []int64 { return make([]int64, 0, n) }
	text := func() []string { return make([]string, 0, n) }
	return &columns{
		cursor: number(), seq: number(), epoch: number(), wall: number(), station: text(), chain: text(), kind: text(), session: text(), person: text(),
		envelope: make([][]byte, 0, n), verified: make([]int32, 0, n),
	}
}

func (c *columns) add(cursor uint64, e record.Entry, checked bool) {
	p := e.Payload
	verified := int32(0)
	if checked {
		verified = 1
	}
	c.cursor, c.seq, c.epoch = append(c.cursor, int64(cursor)), append(c.seq, int64(p.Seq)), append(c.epoch, int64(p.Epoch))
	c.wall, c.verified, c.envelope = append(c.wall, micro(p.Time.Wall)), append(c.verified, verified), append(c.envelope, e.Envelope.Bytes())
	c.station, c.chain, c.kind = append(c.station, string(p.Station)), append(c.chain, string(p.Chain)), append(c.kind, string(p.Type))
	c.session, c.person = append(c.session, string(p.Session)), append(c.person, string(p.Person))
}

// SetVerifiedGood notes of many records that their signatures were checked and are good.
func (tx *Tx) SetVerifiedGood(cursors []uint64) error {
	numbers := make([]int64, len(cursors))
	for i, c := range cursors {
		numbers[i] = int64(c)
	}
	if tx.engine.name() == postgresName {
		if _, err := tx.exec(`UPDATE records SET verified = 1, fault = '' WHERE cursor = ANY(CAST(? AS BIGINT[]))`, numbers); err != nil {
			return fmt.Errorf("note verification of %d records: %w", len(cursors), err)
		}
		return nil
	}
	for _, c := range cursors {
		if err := tx.SetVerified(c, ""); err != nil {
			return err
		}
	}
	return nil
}
