package store_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"tapline/broker/store"
	"tapline/proto/record"
)

func TestViewsThatAllMeetANewQueryDoNotWaitForOneAnother(t *testing.T) {
	s := open(t, t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const atOnce = 8
	var inside sync.WaitGroup
	inside.Add(atOnce)
	var g errgroup.Group
	for range atOnce {
		g.Go(func() error {
			return s.View(ctx, func(tx *store.Tx) error {
				inside.Done()
				inside.Wait() // now every View has its connection
				_, err := tx.Chains()
				return err
			})
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

func TestAFilterMayHaveAnyForm(t *testing.T) {
	s := open(t, t.TempDir())
	var f store.Filter
	for i := range 600 { // more forms than are kept
		f.People = append(f.People, fmt.Sprint("p-", i))
		err := s.View(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Records(f, 0, 1)
			return err
		})
		if err != nil {
			t.Fatalf("with %d people: %v", i+1, err)
		}
	}
	err := s.View(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Session(record.SessionID("none"))
		return err
	})
	if err == nil {
		t.Error("a session that is not there was found")
	}
}
