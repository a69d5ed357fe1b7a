package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

//go:embed migrations
var migrations embed.FS

// Schema says how far the database's schema is.
type Schema struct {
	Have, Want int64
}

// Current says whether nothing is left to do.
func (s Schema) Current() bool { return s.Have == s.Want }

// Schema reads how far the schema is.
func (s *Store) Schema(ctx context.Context) (schema Schema, err error) {
	db, done, err := s.engine.forSchema()
	if err != nil {
		return Schema{}, err
	}
	defer func() { err = errors.Join(err, done()) }()
	p, err := s.provider(db)
	if err != nil {
		return Schema{}, err
	}
	return schemaOf(ctx, p)
}

func schemaOf(ctx context.Context, p *goose.Provider) (Schema, error) {
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return Schema{}, fmt.Errorf("read schema: %w", err)
	}
	if have > want {
		return Schema{}, fmt.Errorf("the store has schema %d, this program knows %d: it was written by a newer version", have, want)
	}
	// A number below the store's that was never applied would be passed over for ever: have and want are the same.
	if _, err := p.HasPending(ctx); err != nil {
		return Schema{}, fmt.Errorf("the store was written by a version between releases; restore a backup of it into a new store: %w", err)
	}
	return Schema{Have: have, Want: want}, nil
}

// Migrate brings the schema up to this program's. On SQLite it must not run beside other calls; on PostgreSQL of all brokers that start at once one
// does it, and the others wait.
func (s *Store) Migrate(ctx context.Context) (err error) {
	db, p, done, err := s.openSchema(ctx)
	if err != nil {
		return fmt.Errorf("migrate store: %w", err)
	}
	defer func() { err = errors.Join(err, done()) }()
	schema, err := schemaOf(ctx, p)
	if err != nil {
		return err
	}
	if !schema.Current() {
		if _, err := p.Up(ctx); err != nil {
			return fmt.Errorf("migrate store: %w", err)
		}
	}
	if err := s.engine.afterMigration(ctx, db); err != nil {
		return fmt.Errorf("migrate store: %w", err)
	}
	return nil
}

// openSchema opens what migrations run on, when no other broker migrates; call done after.
func (s *Store) openSchema(ctx context.Context) (db *sql.DB, p *goose.Provider, done func() error, err error) {
	db, shut, err := s.engine.forSchema()
	if err != nil {
		return nil, nil, nil, err
	}
	unlock, err := s.engine.lockSchema(ctx, db)
	if err != nil {
		return nil, nil, nil, errors.Join(err, shut())
	}
	done = func() error { return errors.Join(unlock(), shut()) }
	if p, err = s.provider(db); err != nil {
		return nil, nil, nil, errors.Join(err, done())
	}
	return db, p, done, nil
}

func (s *Store) provider(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations/"+s.engine.name())
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	dialect := goose.DialectSQLite3
	if s.engine.name() == postgresName {
		dialect = goose.DialectPostgres
	}
	p, err := goose.NewProvider(dialect, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	return p, nil
}
