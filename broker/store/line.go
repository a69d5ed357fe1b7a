package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/stdlib"
)

// maxWaiting bounds the writes that wait for the next way to the server.
const maxWaiting = 64

// line is how an update on PostgreSQL speaks with the server: several statements at once, answered in their order. Writes whose result nobody asks for
// wait for the next question, or for the update's end; questions that are known to come are asked together. The update sees what it would see without:
// nothing overtakes, and an answer that was fetched ahead is forgotten when something is written to a table that it is from.
type line struct {
	conn  *sql.Conn
	form  func(query string) string
	trip  func()         // told of each way to the server; may be nil
	wait  []question     // writes, not sent yet
	known map[string]row // what was asked ahead
	// opening is how many statements, the first of those that wait, set the update's savepoint; sent and set tell how far they came.
	opening   int
	sent, set bool
}

// question is a statement on its way.
type question struct {
	query string
	args  []any
	what  string // what failed if it does; for a write that waits
	each  string // the query that each row answers, asked of the row's first column; empty for a query that is itself what is asked
}

// row is what a statement gave. All its values are as they came over the network.
type row struct {
	from     []string // tables
	fields   []pgconn.FieldDescription
	values   [][][]byte
	affected int64
}

func key(query string, args []any) string { return fmt.Sprintf("%s\x00%#v", query, args) }

// tables are those that a query reads.
func tables(query string) []string {
	var found []string
	words := strings.Fields(strings.ReplaceAll(query, "(", " "))
	for i, w := range words[:max(0, len(words)-1)] {
		if w == "FROM" || w == "JOIN" {
			found = append(found, words[i+1])
		}
	}
	return found
}

// writes forgets the answers that a write may change.
func (l *line) writes(query string) {
	for k, r := range l.known {
		if slices.ContainsFunc(r.from, func(table string) bool { return strings.Contains(query, table) }) {
			delete(l.known, k)
		}
	}
}

// send sends what waits and then asks, and gives what each of asked gave.
func (l *line) send(ctx context.Context, asked ...question) ([]row, error) {
	all := slices.Concat(l.wait, asked)
	first := len(l.wait)
	l.wait = nil
	if len(all) == 0 {
		return nil, nil
	}
	l.went()
	var got []row
	err := l.conn.Raw(func(c any) (err error) {
		var batch pgx.Batch
		for _, q := range all {
			batch.Queue(l.form(q.query), q.args...)
		}
		results := c.(*stdlib.Conn).Conn().SendBatch(ctx, &batch)
		defer func() {
			if closed := results.Close(); err == nil {
				err = closed
			}
		}()
		for i, q := range all {
			r, err := readRow(results)
			if err != nil && q.what != "" {
				err = fmt.Errorf("%s: %w", q.what, err)
			}
			if err != nil {
				return err
			}
			if r.from = tables(q.query); i >= first {
				got = append(got, r)
			}
			l.set = l.set || i+1 >= l.opening
		}
		return nil
	})
	return got, err
}

func readRow(results pgx.BatchResults) (row, error) {
	rows, err := results.Query()
	if err != nil {
		return row{}, err
	}
	defer rows.Close()
	r := row{fields: slices.Clone(rows.FieldDescriptions())}
	for rows.Next() {
		values := slices.Clone(rows.RawValues())
		for i := range values {
			values[i] = slices.Clone(values[i])
		}
		r.values = append(r.values, values)
	}
	rows.Close()
	r.affected = rows.CommandTag().RowsAffected()
	return r, rows.Err()
}

// ahead asks questions that are known to come.
func (l *line) ahead(ctx context.Context, asked []question) error {
	got, err := l.send(ctx, asked...)
	if err != nil {
		return err
	}
	if l.known == nil {
		l.known = map[string]row{}
	}
	for i, q := range asked {
		if q.each == "" {
			l.known[key(q.query, q.args)] = got[i]
			continue
		}
		for _, values := range got[i].values {
			one := row{from: got[i].from, fields: got[i].fields[1:], values: [][][]byte{values[1:]}}
			l.known[key(q.each, []any{string(values[0])})] = one
		}
	}
	return nil
}

// read gives what a query gives, if it is known, or if it can go with what waits.
func (l *line) read(ctx context.Context, query string, args []any) (row, bool, error) {
	if !strings.HasPrefix(query, "SELECT") {
		l.writes(query)
	}
	if r, known := l.known[key(query, args)]; known {
		return r, true, nil
	}
	if len(l.wait) == 0 {
		l.went()
		return row{}, false, nil
	}
	got, err := l.send(ctx, question{query: query, args: args})
	if err != nil {
		return row{}, true, err
	}
	return got[0], true, nil
}

// went says that something is sent.
func (l *line) went() {
	if l.sent = true; l.trip != nil {
		l.trip()
	}
}

// scanned is a row of what a line read.
type scanned struct {
	types  *pgtype.Map
	fields []pgconn.FieldDescription
	values [][]byte
}

// Scan reads the row into places.
func (s scanned) Scan(into ...any) error { return pgx.ScanRow(s.types, s.fields, s.values, into...) }

// scan gives each row to read.
func (l *line) scan(r row, read func(scanner) error) error {
	return l.conn.Raw(func(c any) error {
		types := c.(*stdlib.Conn).Conn().TypeMap()
		for _, values := range r.values {
			if err := read(scanned{types, r.fields, values}); err != nil {
				return err
			}
		}
		return nil
	})
}
