package store_test

import (
	"sync"
	"testing"

	"tapline/broker/store"
	"tapline/broker/store/postgrestest"
	"tapline/broker/store/storetest"
)

func TestPostgres(t *testing.T) {
	server := postgrestest.Start(t)
	var mu sync.Mutex // guards of
	of := map[string]string{}
	storetest.Run(t, storetest.Engine{Open: func(dir string) (*store.Store, error) {
		mu.Lock()
		defer mu.Unlock()
		if of[dir] == "" {
			of[dir] = server.NewDatabase(t)
		}
		return store.OpenPostgres(t.Context(), store.Postgres{URL: of[dir]})
	}})
}
