package store

import (
	"context"
	"embed"
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
func (s *Store) Schema(ctx context.Context) (Schema, error) {
	p, err := s.provider()
	if err != nil {
		return Schema{}, err
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return Schema{}, fmt.Errorf("read schema: %w", err)
	}
	if have > want {
		return Schema{}, fmt.Errorf("the store has schema %d, this program knows %d: it was written by a newer version", have, want)
	}
	return Schema{Have: have, Want: want}, nil
}

// Migrate brings the schema up to this program's. It must not run beside other calls.
func (s *Store) Migrate(ctx context.Context) error {
	if _, err := s.Schema(ctx); err != nil {
		return err
	}
	p, err := s.provider()
	if err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate store: %w", err)
	}
	return nil
}

func (s *Store) provider() (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations/"+s.engine.name)
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, s.write, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	return p, nil
}
