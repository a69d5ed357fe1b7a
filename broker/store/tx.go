package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"tapline/proto/record"
)

// Tx is what an update or a view works with. It is good until the function that got it returns, for one goroutine.
type Tx struct {
	ctx    context.Context //nolint:containedctx // a Tx lives as long as one call
	engine engine
	run    runner
	line   *line  // where statements are ways over a network and go together; else nil
	writer string // of this Store; empty in a View
	asked  func() // told of each statement; may be nil
	// What was read of accounts and leases stays so until this Tx changes it: nobody else writes meanwhile, and a View is one snapshot.
	accounts map[record.AccountID]entryDoc
	near     map[string][]Lease
}

// entryDoc is an entry of the directory as it is stored.
type entryDoc struct {
	doc      string
	revision int64
}

// counted tells whoever counts that a statement goes to the database.
func (tx *Tx) counted() {
	if tx.asked != nil {
		tx.asked()
	}
}

// exec runs a statement and gives the number of rows that it touched.
func (tx *Tx) exec(query string, args ...any) (int64, error) {
	tx.counted()
	if tx.line != nil {
		tx.line.writes(query)
		if len(tx.line.wait) > 0 {
			got, err := tx.line.send(tx.ctx, question{query: query, args: args})
			if err != nil {
				return 0, err
			}
			return got[0].affected, nil
		}
		tx.line.went()
	}
	r, err := tx.run.exec(tx.ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// later runs a statement of which nobody asks how many rows it touched: where that is a way over a network, with the next question or at the end of the
// update, which fails then as it would fail here.
func (tx *Tx) later(what, query string, args ...any) error {
	if tx.line == nil {
		if _, err := tx.exec(query, args...); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	}
	tx.counted()
	tx.line.writes(query)
	tx.line.wait = append(tx.line.wait, question{query: query, args: args, what: what})
	if len(tx.line.wait) < maxWaiting {
		return nil
	}
	return tx.settle()
}

// settle sends what waits.
func (tx *Tx) settle() error {
	if tx.line == nil || len(tx.line.wait) == 0 || !tx.line.sent && len(tx.line.wait) == tx.line.opening {
		return nil
	}
	_, err := tx.line.send(tx.ctx)
	return err
}

// ask asks questions together of which it is known that they come. Where each is no way over a network that would gain nothing.
func (tx *Tx) ask(asked ...question) error {
	if tx.line == nil {
		return nil
	}
	for range asked {
		tx.counted()
	}
	return tx.line.ahead(tx.ctx, asked)
}

// one reads a single row into the places; ErrNotFound if there is none.
func (tx *Tx) one(query string, args []any, into ...any) error {
	if tx.line != nil {
		r, here, err := tx.line.read(tx.ctx, query, args)
		if err != nil {
			return err
		}
		if here {
			found := false
			err := tx.line.scan(r, func(s scanner) error {
				if found {
					return nil
				}
				found = true
				return s.Scan(into...)
			})
			if err == nil && !found {
				err = ErrNotFound
			}
			return err
		}
	}
	tx.counted()
	row, err := tx.run.row(tx.ctx, query, args...)
	if err != nil {
		return err
	}
	err = row.Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

// scanner is a row.
type scanner interface{ Scan(into ...any) error }

// all reads every row.
func all[T any](tx *Tx, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	var found []T
	keep := func(r scanner) error {
		v, err := scan(r)
		if err == nil {
			found = append(found, v)
		}
		return err
	}
	if tx.line != nil {
		r, here, err := tx.line.read(tx.ctx, query, args)
		if err != nil || here {
			return found, errors.Join(err, tx.line.scan(r, keep))
		}
	}
	tx.counted()
	rows, err := tx.run.query(tx.ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err says more
	for rows.Next() {
		if err := keep(rows); err != nil {
			return nil, err
		}
	}
	return found, rows.Err()
}

// micro is how a time is stored.
func micro(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// at reads back what micro stored.
func at(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// document is how an entry of the directory is stored: JSON, so that a person with a SQL prompt can read it.
func document(m proto.Message) (string, error) {
	b, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return "", fmt.Errorf("encode: %w", err)
	}
	return string(b), nil
}

// readDocument reads back what document made. A field that a newer version wrote is passed over.
func readDocument(doc string, into proto.Message) error {
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal([]byte(doc), into); err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	return nil
}

// Next counts name up by n and gives the first of the n new numbers; the first ever is 1. Whoever else counts the same name waits for this
// transaction's end, so numbers become visible in their order.
func (tx *Tx) Next(name string, n uint64) (uint64, error) {
	var last int64
	err := tx.one(`INSERT INTO counters (name, value) VALUES (?, ?)
		ON CONFLICT (name) DO UPDATE SET value = counters.value + excluded.value RETURNING value`, []any{name, int64(n)}, &last)
	if err != nil {
		return 0, fmt.Errorf("count %s: %w", name, err)
	}
	return uint64(last) - n + 1, nil
}

// counting begins a statement on PostgreSQL that counts a name up by one and uses the number as n.value: one way to the server instead of two.
func counting(name string) string {
	return `WITH n AS (INSERT INTO counters (name, value) VALUES ('` + name + `', 1)
		ON CONFLICT (name) DO UPDATE SET value = counters.value + excluded.value RETURNING value) `
}

// Count reads a counter; 0 before the first Next.
func (tx *Tx) Count(name string) (uint64, error) {
	var last int64
	err := tx.one(counterOf, []any{name}, &last)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read count %s: %w", name, err)
	}
	return uint64(last), nil
}

// The counter of changes that a grant bundle may depend on.
const generation = "generation"

// Changed says that something changed that a grant bundle may depend on.
func (tx *Tx) Changed() error {
	_, err := tx.Next(generation, 1)
	return err
}

// Generation counts the calls of Changed.
func (tx *Tx) Generation() (uint64, error) { return tx.Count(generation) }
