package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
)

// Kind is what a column holds.
type Kind string

// The kinds of column that there are, on every engine.
const (
	Integer Kind = "int"
	Text    Kind = "text"
	Bytes   Kind = "bytes"
)

// Table is a table as a dump has it. A value is an int64, a string, a []byte, or nil.
type Table struct {
	Name    string   `json:"table"`
	Columns []string `json:"columns"`
	Kinds   []Kind   `json:"kinds"`
}

// Sink takes a dump.
type Sink interface {
	// Begin is called first, with the schema of the data and the snapshot that all of it is from.
	Begin(tx *Tx, schema int64) error
	Table(t Table) error
	Row(values []any) error
}

// Source gives a dump back. Next gives a table or a row of the table before, and io.EOF semantics by ok.
type Source interface {
	Next() (t *Table, row []any, ok bool, err error)
}

// own are tables that belong to an engine or to one run of a broker, and to no dump.
var own = []string{"goose_db_version", "sqlite_sequence", "migrating", "writer", "commits", "leader_watch"}

// ErrNotEmpty says that there is something in the store already.
var ErrNotEmpty = errors.New("the store is not empty")

// ErrInUse says that a broker works on the store, or did a moment ago.
var ErrInUse = errors.New("a broker works on the store")

// markFresh is how old the mark of a broker that runs can be, and some: each one writes every third of a term of the lead.
const markFresh = 10 * time.Second

// Dump gives everything in the store to the sink, as it was at one moment, while brokers go on.
func (s *Store) Dump(ctx context.Context, to Sink) (err error) {
	db := s.read
	if s.engine.name() != "sqlite" { // a dump takes longer than what brokers do
		var done func() error
		if db, done, err = s.engine.forSchema(); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, done()) }()
	}
	raw, err := db.BeginTx(ctx, s.engine.snapshot())
	if err != nil {
		return fmt.Errorf("dump store: %w", err)
	}
	defer raw.Rollback() //nolint:errcheck // there is nothing to keep
	tx := &Tx{ctx: ctx, engine: s.engine, run: direct{to: raw, form: s.engine.form}}
	var schema int64
	if err := tx.one(`SELECT MAX(version_id) FROM goose_db_version WHERE is_applied`, nil, &schema); err != nil {
		return fmt.Errorf("dump store: read schema: %w", err)
	}
	if err := to.Begin(tx, schema); err != nil {
		return err
	}
	tables, err := tx.tables()
	if err != nil {
		return fmt.Errorf("dump store: %w", err)
	}
	for _, t := range tables {
		if err := tx.dumpTable(t, to); err != nil {
			return fmt.Errorf("dump table %s: %w", t.Name, err)
		}
	}
	return nil
}

// tables reads which tables there are, and their columns.
func (tx *Tx) tables() ([]Table, error) {
	query := `SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name`
	if tx.engine.name() == postgresName {
		query = `SELECT CAST(relname AS TEXT) FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace ORDER BY 1`
	}
	names, err := all(tx, func(r scanner) (name string, err error) { return name, r.Scan(&name) }, query)
	if err != nil {
		return nil, err
	}
	var found []Table
	for _, name := range names {
		if slices.Contains(own, name) {
			continue
		}
		t, err := tx.table(name)
		if err != nil {
			return nil, err
		}
		found = append(found, t)
	}
	return found, nil
}

func (tx *Tx) table(name string) (Table, error) {
	t := Table{Name: name}
	rows, err := tx.run.query(tx.ctx, `SELECT * FROM `+name+` LIMIT 0`)
	if err != nil {
		return t, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err says more
	types, err := rows.ColumnTypes()
	if err != nil {
		return t, err
	}
	for _, c := range types {
		kind := Kind("")
		switch strings.ToUpper(c.DatabaseTypeName()) {
		case "BIGINT", "INTEGER", "INT8", "INT4":
			kind = Integer
		case "TEXT":
			kind = Text
		case "BLOB", "BYTEA":
			kind = Bytes
		default:
			return t, fmt.Errorf("column %s.%s is of type %s, which no dump knows", name, c.Name(), c.DatabaseTypeName())
		}
		t.Columns, t.Kinds = append(t.Columns, c.Name()), append(t.Kinds, kind)
	}
	return t, rows.Err()
}

func (tx *Tx) dumpTable(t Table, to Sink) error {
	if err := to.Table(t); err != nil {
		return err
	}
	rows, err := tx.run.query(tx.ctx, `SELECT `+strings.Join(t.Columns, ", ")+` FROM `+t.Name)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // rows.Err says more
	values, into := make([]any, len(t.Columns)), make([]any, len(t.Columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if err := to.Row(values); err != nil {
			return err
		}
	}
	return rows.Err()
}

// LoadOptions say how a dump is put into a store.
type LoadOptions struct {
	Schema int64 // of the dump
	Force  bool  // throw away what is there
	// Check looks at the whole before it is kept; an error keeps the store as it was.
	Check func(*Tx) error
}

// Load puts a dump into a store, all of it or nothing, and then brings the schema up to this program's. No broker may run. ErrNotEmpty if there is
// something in the store already,
// ErrInUse if a broker is seen to work on it; none can write before the load has ended.
func (s *Store) Load(ctx context.Context, from Source, o LoadOptions) (err error) {
	db, p, done, err := s.openSchema(ctx)
	if err != nil {
		return fmt.Errorf("load store: %w", err)
	}
	defer func() { err = errors.Join(err, done()) }()
	fresh, err := s.levelWith(ctx, p, db, o.Schema)
	if err != nil {
		return err
	}
	if err := s.loadRows(ctx, db, from, o, fresh); err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate what was loaded: %w", err)
	}
	return s.engine.afterMigration(ctx, db)
}

// levelWith brings a new store to the schema of the dump. fresh says that it was new.
func (s *Store) levelWith(ctx context.Context, p *goose.Provider, db *sql.DB, schema int64) (fresh bool, err error) {
	have, err := schemaOf(ctx, p)
	switch {
	case err != nil:
		return false, err
	case schema > have.Want:
		return false, fmt.Errorf("the dump has schema %d, this program knows %d: it was made by a newer version", schema, have.Want)
	case have.Have == schema:
		return false, nil
	case have.Have != 0:
		return false, fmt.Errorf("the store has schema %d and the dump %d: load it into a new store", have.Have, schema)
	}
	if _, err := p.UpTo(ctx, schema); err != nil {
		return false, fmt.Errorf("make schema %d: %w", schema, err)
	}
	return true, s.engine.afterMigration(ctx, db)
}

func (s *Store) loadRows(ctx context.Context, db *sql.DB, from Source, o LoadOptions, fresh bool) error {
	raw, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("load store: %w", err)
	}
	defer raw.Rollback() //nolint:errcheck // after Commit it does nothing
	if err := s.engine.alone(ctx, raw, s.mark); err != nil {
		return fmt.Errorf("load store: %w", err)
	}
	tx := &Tx{ctx: ctx, engine: s.engine, run: direct{to: raw, form: s.engine.form}}
	tables, err := tx.tables()
	if err != nil {
		return fmt.Errorf("load store: %w", err)
	}
	if !fresh && !o.Force {
		if err := tx.empty(); err != nil {
			return err
		}
	}
	for _, t := range tables {
		if _, err := tx.exec(`DELETE FROM ` + t.Name); err != nil {
			return fmt.Errorf("empty table %s: %w", t.Name, err)
		}
	}
	l := loader{tx: tx, tables: tables}
	if err := l.load(from); err != nil {
		return err
	}
	if o.Check != nil {
		if err := o.Check(tx); err != nil {
			return err
		}
	}
	if err := raw.Commit(); err != nil {
		return fmt.Errorf("load store: %w", err)
	}
	return nil
}

// empty is ErrNotEmpty if a broker has used the store.
func (tx *Tx) empty() error {
	for _, table := range []string{"secrets", "records", "stations", "people"} {
		var one int
		err := tx.one(`SELECT 1 FROM `+table+` LIMIT 1`, nil, &one)
		if err == nil {
			return ErrNotEmpty
		}
		if !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return nil
}

// A statement of a load has no more values than this.
const loadValues = 2000

// loader writes rows, several in a statement.
type loader struct {
	tx     *Tx
	tables []Table
	into   Table
	values []any
}

func (l *loader) load(from Source) error {
	for {
		t, row, ok, err := from.Next()
		switch {
		case err != nil:
			return err
		case !ok:
			return l.flush()
		case t != nil:
			err = l.begin(*t)
		default:
			err = l.add(row)
		}
		if err != nil {
			return err
		}
	}
}

// begin takes up a table, which must be one that the store has.
func (l *loader) begin(t Table) error {
	if err := l.flush(); err != nil {
		return err
	}
	i := slices.IndexFunc(l.tables, func(have Table) bool { return have.Name == t.Name })
	if i < 0 {
		return fmt.Errorf("the dump has a table %q, which this schema has not", t.Name)
	}
	for j, c := range t.Columns {
		k := slices.Index(l.tables[i].Columns, c)
		if k < 0 || len(t.Kinds) != len(t.Columns) || l.tables[i].Kinds[k] != t.Kinds[j] {
			return fmt.Errorf("the dump has a column %q of table %s, which this schema has not", c, t.Name)
		}
	}
	l.into = t
	return nil
}

func (l *loader) add(row []any) error {
	if len(row) != len(l.into.Columns) || len(row) == 0 {
		return fmt.Errorf("a row of table %s has %d values, its columns are %d", l.into.Name, len(row), len(l.into.Columns))
	}
	l.values = append(l.values, row...)
	if len(l.values)+len(row) > loadValues {
		return l.flush()
	}
	return nil
}

func (l *loader) flush() error {
	if len(l.values) == 0 {
		return nil
	}
	n := len(l.into.Columns)
	one := "(?" + strings.Repeat(", ?", n-1) + ")"
	query := `INSERT INTO ` + l.into.Name + ` (` + strings.Join(l.into.Columns, ", ") + `) VALUES ` + one + strings.Repeat(", "+one, len(l.values)/n-1)
	if _, err := l.tx.exec(query, l.values...); err != nil {
		return fmt.Errorf("load table %s: %w", l.into.Name, err)
	}
	l.values = l.values[:0]
	return nil
}
