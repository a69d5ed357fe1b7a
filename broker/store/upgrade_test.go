//go:build unix

package store

import (
	"strings"
	"testing"

	"tapline/broker/store/postgrestest"
)

// field is what a broker of the first release has in its store: written down as it was, so that a later change of our code cannot change it too.
func field() []string {
	return []string{
		`INSERT INTO counters (name, value) VALUES ('cursor', 2), ('generation', 5)`,
		`INSERT INTO secrets (name, sealed, put_at) VALUES ('evidence', CAST('sealed' AS BYTEA), 1)`,
		`INSERT INTO stations (id, doc, revision, state, chain, join_sequence) VALUES ('plant/press/line-4/hmi-1', '{"id":"plant/press/line-4/hmi-1"}', 3, 2,
			'3f8e4c1e-6a59-4b07-9a0c-5b7c5a1d2e3f', 4)`,
		`INSERT INTO people (id, doc, name, revision) VALUES ('p-1', '{"id":"p-1","display_name":"Anna B."}', 'Anna B.', 2)`,
		`INSERT INTO badges (id, person, lookup, number, label, technology, assurance, assigned_at) VALUES ('b-1', 'p-1', CAST('l' AS BYTEA), CAST('n' AS BYTEA), 'blue', 'iso14443a', 1, 7)`,
		`INSERT INTO leases (id, scope, account, fence, session, station, person, opened_at, expires_at, ended_at, cause)
			VALUES ('l-1', 'press-hmi', 'press-hmi', 9, 's-1', 'plant/press/line-4/hmi-1', 'p-1', 1, 2, 0, '')`,
		`INSERT INTO records (cursor, station, chain, seq, epoch, envelope, received_at, type, wall, session, person, verified)
			VALUES (1, 'plant/press/line-4/hmi-1', '3f8e4c1e-6a59-4b07-9a0c-5b7c5a1d2e3f', 1, 1, CAST('e1' AS BYTEA), 1, 'station-heartbeat', 1, '', '', 1),
			(2, 'plant/press/line-4/hmi-1', '3f8e4c1e-6a59-4b07-9a0c-5b7c5a1d2e3f', 2, 1, CAST('e2' AS BYTEA), 1, 'session-opened', 1, 's-1', 'p-1', 0)`,
	}
}

// A store of the first release is brought up to this one, and what was in it is there.
func TestAStoreOfTheFirstReleaseIsBroughtUp(t *testing.T) {
	lite, err := OpenSQLite(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pg, err := OpenPostgres(t.Context(), Postgres{URL: postgrestest.Start(t).NewDatabase(t)})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Store{lite, pg} {
		t.Run(s.engine.name(), func(t *testing.T) {
			defer s.Close() //nolint:errcheck // the test is over
			firstRelease(t, s)
			if err := s.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			err := s.View(t.Context(), func(tx *Tx) error {
				records, err := tx.Records(Filter{People: []string{"p-1"}}, 0, 10)
				if err != nil || len(records) != 1 || string(records[0].Envelope) != "e2" {
					t.Errorf("records: %+v, %v", records, err)
				}
				station, err := tx.Station("plant/press/line-4/hmi-1")
				if err != nil || station.Join.Sequence != 4 {
					t.Errorf("station: %+v, %v", station, err)
				}
				badge, err := tx.Badge("b-1")
				if err != nil || badge.Label != "blue" {
					t.Errorf("badge: %+v, %v", badge, err)
				}
				person, err := tx.Person("p-1")
				if err != nil || person.GetDisplayName() != "Anna B." || person.GetRevision() != 2 {
					t.Errorf("person: %v, %v", person, err)
				}
				lease, err := tx.LeaseOf("s-1")
				if err != nil || lease.Fence != 9 || !lease.EndedAt.IsZero() {
					t.Errorf("lease: %+v, %v", lease, err)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// A migration that is numbered below one that the store has is no reason to go on without it.
func TestAStoreThatLacksAMigrationInBetweenIsRefused(t *testing.T) {
	s, err := OpenSQLite(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // the test is over
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	db, done, err := s.engine.forSchema()
	if err != nil {
		t.Fatal(err)
	}
	defer done() //nolint:errcheck // the test is over
	if _, err := db.ExecContext(t.Context(), `DELETE FROM goose_db_version WHERE version_id = 22`); err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context()); err == nil || !strings.Contains(err.Error(), "between releases") {
		t.Errorf("got %v", err)
	}
	if _, err := s.Schema(t.Context()); err == nil {
		t.Error("the schema counts as current")
	}
}

// firstRelease makes the store that a broker of the first release leaves.
func firstRelease(t *testing.T, s *Store) {
	t.Helper()
	db, done, err := s.engine.forSchema()
	if err != nil {
		t.Fatal(err)
	}
	defer done() //nolint:errcheck // the test is over
	p, err := s.provider(db)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	for _, statement := range field() {
		if s.engine.name() == "sqlite" {
			statement = strings.ReplaceAll(statement, "AS BYTEA", "AS BLOB")
		}
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}
