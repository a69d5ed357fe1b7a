package store_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"tapline/broker/store"
	"tapline/broker/store/postgrestest"
	"tapline/broker/store/storetest"
)

func TestPostgres(t *testing.T) {
	bare, server := postgrestest.Start(t), postgrestest.Start(t)
	server.Prepare(t, migrated)
	storetest.Run(t, storetest.Engine{Open: onServer(t, bare), Ready: onServer(t, server)})
}

// migrated brings a database's schema up.
func migrated(url string) error {
	s, err := store.OpenPostgres(context.Background(), store.Postgres{URL: url})
	if err != nil {
		return err
	}
	return errors.Join(s.Migrate(context.Background()), s.Close())
}

// onServer has a database for each folder.
func onServer(t *testing.T, server *postgrestest.Server) func(dir string) (*store.Store, error) {
	var mu sync.Mutex // guards of
	of := map[string]string{}
	return func(dir string) (*store.Store, error) {
		mu.Lock()
		defer mu.Unlock()
		if of[dir] == "" {
			of[dir] = server.NewDatabase(t)
		}
		return store.OpenPostgres(t.Context(), store.Postgres{URL: of[dir]})
	}
}

// A server that would lose what it acknowledges is not taken, nor one that a password stands in the address of.
func TestAServerThatIsNotSafeIsRefused(t *testing.T) {
	if os.Getenv("TAPLINE_SUITE") == "quick" {
		t.Skip("needs: full suite")
	}
	server := postgrestest.Start(t, "fsync=off")
	url := server.NewDatabase(t)
	refused := func(why string) {
		t.Helper()
		s, err := store.OpenPostgres(t.Context(), store.Postgres{URL: url})
		if err == nil {
			_ = s.Close()
		}
		var unfit *store.Unfit
		if !errors.As(err, &unfit) || !strings.Contains(unfit.Fault, why) || unfit.Hint == "" {
			t.Errorf("got %v, want that %s", err, why)
		}
	}
	refused("fsync is off")
	for setting, why := range map[string]string{"full_page_writes=off": "full_page_writes is off", "synchronous_commit=local": "synchronous_commit is local"} {
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := server.Restart(t.Context(), "fsync=on", "full_page_writes=on", setting); err != nil {
			t.Fatal(err)
		}
		refused(why)
	}
	for address, want := range map[string]string{
		"postgres://u:geheim@h/d": "password", "postgres://h/d?password=geheim": "password", "mysql://h": "address", "postgres://h:port/geheim": "address",
	} {
		err := store.Postgres{URL: address}.Fault()
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v", address, err)
		}
	}
}
