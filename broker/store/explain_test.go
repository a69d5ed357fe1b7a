//go:build unix

package store

import (
	"context"
	"database/sql"
	"strings"
	"testing"
	"time"

	"tapline/broker/store/postgrestest"
	"tapline/proto/record"
)

// explaining runs queries and keeps what the engine would do for each.
type explaining struct {
	to    runner
	how   string
	plans []string
	t     *testing.T
}

func (e *explaining) explain(ctx context.Context, query string, args []any) {
	e.t.Helper()
	rows, err := e.to.query(ctx, e.how+query, args...)
	if err != nil {
		e.t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err says more
	columns, err := rows.Columns()
	if err != nil {
		e.t.Fatal(err)
	}
	into := make([]any, len(columns))
	var text string
	for i := range into {
		into[i] = new(any)
	}
	into[len(into)-1] = &text // the last one says it, on either engine
	plan := query
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			e.t.Fatal(err)
		}
		plan += "\n\t" + text
	}
	if err := rows.Err(); err != nil {
		e.t.Fatal(err)
	}
	e.plans = append(e.plans, plan)
}

func (e *explaining) exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	e.explain(ctx, query, args)
	return e.to.exec(ctx, query, args...)
}

func (e *explaining) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	e.explain(ctx, query, args)
	return e.to.query(ctx, query, args...)
}

func (e *explaining) row(ctx context.Context, query string, args ...any) (*sql.Row, error) {
	e.explain(ctx, query, args)
	return e.to.row(ctx, query, args...)
}

// questions are what is asked of the tables that grow without end.
func questions(tx *Tx) map[string]func() error {
	records := func(f Filter) func() error {
		return func() error { _, err := tx.Records(f, 7, 100); return err }
	}
	sessions := func(f Filter) func() error {
		return func() error { _, err := tx.Sessions(f, 100); return err }
	}
	day := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	return map[string]func() error{
		"all records":              records(Filter{}),
		"records of a station":     records(Filter{Stations: []string{"a/b/c/d"}}),
		"records below a level":    records(Filter{Stations: []string{"a/b/"}}),
		"records of people":        records(Filter{People: []string{"p-1", "p-2"}}),
		"records of a session":     records(Filter{Session: "s-1"}),
		"records of a day":         records(Filter{From: day, Until: day.Add(24 * time.Hour)}),
		"records of a chain":       func() error { _, err := tx.ChainRecords("c", 7, 100); return err },
		"records not verified yet": func() error { _, err := tx.Unverified(100); return err },
		"sessions of a station":    sessions(Filter{Stations: []string{"a/b/c/d"}}),
		"sessions of a person":     sessions(Filter{People: []string{"p-1"}}),
		"sessions of a day":        sessions(Filter{From: day, Until: day.Add(24 * time.Hour)}),
		"one session":              func() error { return leaves(tx.Session("s-1")) },
		"who was there":            func() error { _, err := tx.Around("a/b/c/d", day, time.Second); return err },
		"leases of a scope":        func() error { _, err := tx.LeasesOfScope("a"); return err },
		"leases of a station":      func() error { _, err := tx.LeasesOfStation("a/b/c/d"); return err },
		"leases of a person":       func() error { _, err := tx.LeasesOfPerson("p-1"); return err },
		"leases in force":          func() error { _, err := tx.Leases("", Page{Size: 100}); return err },
		"leases that expired":      func() error { _, err := tx.ExpiredLeases(day); return err },
		"leases that ended":        func() error { _, err := tx.EndsAfter(7, 100); return err },
		"the lease of a session":   func() error { return leaves(tx.LeaseOf("s-1")) },
		"an answer":                func() error { return leaves(tx.Answer("s-1")) },
		"taps of long ago":         func() error { return tx.PurgeTaps(day) },
		"the last chain":           func() error { return leaves(tx.LastChain(record.StationID("a/b/c/d"))) },
	}
}

// leaves takes a question whose answer is not there.
func leaves[T any](_ T, err error) error {
	if err != nil && strings.Contains(err.Error(), ErrNotFound.Error()) {
		return nil
	}
	return err
}

// grow are the tables that grow without end.
func grow() []string {
	return []string{"records", "sessions", "leases", "answers", "refusals", "chains"}
}

func TestNoQuestionReadsAWholeTable(t *testing.T) {
	lite, err := OpenSQLite(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pg, err := OpenPostgres(t.Context(), Postgres{URL: postgrestest.Start(t, "enable_seqscan=off").NewDatabase(t)}) // off: only where there is no other way
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Store{lite, pg} {
		t.Run(s.engine.name(), func(t *testing.T) {
			defer s.Close() //nolint:errcheck // the test is over
			if err := s.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			err := s.Update(t.Context(), func(tx *Tx) error {
				how := map[string]string{"sqlite": "EXPLAIN QUERY PLAN ", "postgres": "EXPLAIN "}[s.engine.name()]
				e := &explaining{to: tx.run, how: how, t: t}
				tx.run = e
				for what, ask := range questions(tx) {
					e.plans = nil
					if err := ask(); err != nil {
						t.Errorf("%s: %v", what, err)
					}
					for _, plan := range e.plans {
						if table := readsWhole(plan); table != "" {
							t.Errorf("%s reads all of %s:\n%s", what, table, plan)
						}
						if what == "records of a day" && !strings.Contains(plan, "records_by_time") {
							t.Errorf("%s is not bounded by its time:\n%s", what, plan)
						}
						// Which of two indexes PostgreSQL takes depends on what is in the tables; SQLite goes by their form.
						if strings.HasPrefix(what, "leases of") && s == lite && !strings.Contains(plan, "leases_by_") && !strings.Contains(plan, "leases_in_force") {
							t.Errorf("%s goes through those that ended too:\n%s", what, plan)
						}
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// readsWhole names the table that a plan reads from end to end. An index of what is in force is small, and may be.
func readsWhole(plan string) string {
	for _, line := range strings.Split(plan, "\n")[1:] {
		for _, table := range grow() {
			scan, ok := strings.CutPrefix(strings.TrimSpace(line), "SCAN "+table)
			small := strings.Contains(scan, "leases_") || strings.Contains(scan, "records_unverified") || strings.Contains(scan, "USING INDEX sessions_by_time")
			if ok && !small || strings.Contains(line, "Seq Scan on "+table+" ") {
				return table
			}
		}
	}
	return ""
}
