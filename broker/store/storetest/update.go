package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"tapline/broker/store"
)

func (e Engine) migrate(t *testing.T) {
	dir := t.TempDir()
	s, err := e.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	before, err := s.Schema(t.Context())
	if err != nil || before.Have != 0 || before.Want < 1 || before.Current() {
		t.Errorf("an empty store: %+v, %v, want 0 of at least 1", before, err)
	}
	for _, again := range []string{"from nothing", "twice"} {
		if err := s.Migrate(t.Context()); err != nil {
			t.Errorf("migrate %s: %v", again, err)
		}
	}
	after, err := s.Schema(t.Context())
	if err != nil || !after.Current() {
		t.Errorf("after migration: %+v, %v", after, err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func (e Engine) update(t *testing.T) {
	t.Run("what Update took is there after opening again", e.durable)
	t.Run("an update that fails or panics leaves nothing, and its neighbours whole", e.neighbours)
	t.Run("a view changes nothing", e.view)
	t.Run("an update whose caller has gone is not done", e.gone)
	t.Run("a closed store says so", e.closed)
	t.Run("numbers have no gap and no double", e.counters)
}

func (e Engine) durable(t *testing.T) {
	dir := t.TempDir()
	s, err := e.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	do(t, s, func(tx *store.Tx) error { return tx.PutSecret("k", []byte("sealed"), begin()) })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantSecret(t, e.open(t, dir), "k", "sealed")
}

// errWrong is what an update of a test fails with.
var errWrong = errors.New("wrong")

// neighbours runs many updates at once, of which every third fails and every third panics after having written.
func (e Engine) neighbours(t *testing.T) {
	s := e.fresh(t)
	const n = 120
	outcomes := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			outcomes[i] = s.Update(t.Context(), func(tx *store.Tx) error {
				if err := tx.PutSecret(fmt.Sprint(i), []byte("x"), begin()); err != nil {
					return err
				}
				switch i % 3 {
				case 1:
					return errWrong
				case 2:
					panic("a secret 4711")
				}
				return nil
			})
		})
	}
	all.Wait()
	for i, err := range outcomes {
		switch i % 3 {
		case 0:
			if err != nil {
				t.Errorf("good update %d: %v", i, err)
			}
			wantSecret(t, s, fmt.Sprint(i), "x")
			continue
		case 1:
			if !errors.Is(err, errWrong) {
				t.Errorf("failing update %d: %v", i, err)
			}
		case 2:
			if err == nil || !strings.Contains(err.Error(), "panic") || strings.Contains(err.Error(), "4711") {
				t.Errorf("panicking update %d: %v, want an error that tells of a panic and not its value", i, err)
			}
		}
		wantNone(t, s, fmt.Sprint(i))
	}
}

func (e Engine) view(t *testing.T) {
	s := e.fresh(t)
	err := s.View(t.Context(), func(tx *store.Tx) error { return tx.PutSecret("k", []byte("x"), begin()) })
	if err == nil {
		t.Error("a view wrote")
	}
	wantNone(t, s, "k")
	if err := s.View(t.Context(), func(*store.Tx) error { return errWrong }); !errors.Is(err, errWrong) {
		t.Errorf("a view's own error came back as %v", err)
	}
}

func (e Engine) gone(t *testing.T) {
	s := e.fresh(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := s.Update(ctx, func(tx *store.Tx) error { return tx.PutSecret("k", []byte("x"), begin()) })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	wantNone(t, s, "k")
}

// closed closes a store under load: each update is either done, or answered with ErrClosed.
func (e Engine) closed(t *testing.T) {
	dir := t.TempDir()
	s, err := e.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	var done atomic.Int64
	enough := make(chan struct{})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for {
				err := s.Update(t.Context(), func(tx *store.Tx) error {
					_, err := tx.Next("n", 1)
					return err
				})
				if errors.Is(err, store.ErrClosed) {
					return
				}
				if err != nil {
					t.Errorf("while closing: %v", err)
					return
				}
				if done.Add(1) == 50 {
					close(enough)
				}
			}
		})
	}
	<-enough
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	all.Wait()
	again := e.open(t, dir)
	var kept uint64
	err = again.View(t.Context(), func(tx *store.Tx) (err error) {
		kept, err = tx.Count("n")
		return err
	})
	if err != nil || int64(kept) != done.Load() {
		t.Errorf("%d updates were acknowledged, %d are there, %v", done.Load(), kept, err)
	}
}

func (e Engine) counters(t *testing.T) {
	s := e.fresh(t)
	const writers, each = 8, 25
	got := make([][]uint64, writers)
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				err := s.Update(t.Context(), func(tx *store.Tx) error {
					first, err := tx.Next("n", 2)
					if err != nil {
						return err
					}
					if i%5 == 4 {
						return errWrong // a number that was given back is given again
					}
					got[w] = append(got[w], first, first+1)
					return nil
				})
				if err != nil && !errors.Is(err, errWrong) {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	seen := map[uint64]bool{}
	for _, numbers := range got {
		for _, n := range numbers {
			if seen[n] {
				t.Errorf("%d was given twice", n)
			}
			seen[n] = true
		}
	}
	for n := range uint64(writers * each * 2 * 4 / 5) {
		if !seen[n+1] {
			t.Errorf("%d was never given", n+1)
		}
	}
}

func wantSecret(t *testing.T, s *store.Store, name, want string) {
	t.Helper()
	err := s.View(t.Context(), func(tx *store.Tx) error {
		got, err := tx.Secret(name)
		if err == nil && string(got) != want {
			err = fmt.Errorf("%s is %q, want %q", name, got, want)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func wantNone(t *testing.T, s *store.Store, name string) {
	t.Helper()
	err := s.View(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Secret(name)
		return err
	})
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("%s: %v, want ErrNotFound", name, err)
	}
}
