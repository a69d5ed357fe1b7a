package broker

import (
	"sync"
	"testing"
	"time"

	"tapline/broker/store"
)

// TestTheMetricsDoNotHangOnAStoreThatDoes keeps every place of a reader taken while the metrics are asked for.
func TestTheMetricsDoNotHangOnAStoreThatDoes(t *testing.T) {
	s, err := store.OpenSQLite(t.TempDir())
	if err == nil {
		err = s.Migrate(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	b := &Broker{store: s}
	b.counted.Store(7)
	let := make(chan struct{})
	var hanging, begun sync.WaitGroup
	for range 8 {
		begun.Add(1)
		hanging.Go(func() {
			_ = s.View(t.Context(), func(*store.Tx) error { begun.Done(); <-let; return nil })
		})
	}
	begun.Wait()
	late := time.AfterFunc(10*time.Second, func() { close(let) })
	before := time.Now()
	got := b.countRecords()
	if took := time.Since(before); got != 7 || took > 5*time.Second {
		t.Errorf("got %v after %s, want the 7 of the last time within a second or so", got, took)
	}
	if late.Stop() {
		close(let)
	}
	hanging.Wait()
	if got := b.countRecords(); got != 0 {
		t.Errorf("got %v from a store that answers and is empty", got)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
