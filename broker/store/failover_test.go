package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"tapline/broker/store"
	"tapline/broker/store/postgrestest"
)

// ledger is what the callers of a test were told.
type ledger struct {
	mu      sync.Mutex // guards what follows
	acked   map[uint64]bool
	last    time.Time
	gap     time.Duration // the longest without an acknowledgement
	unknown int
	enough  int
	reached chan struct{}
}

func (l *ledger) ack(t *testing.T, n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.acked[n] {
		t.Errorf("%d was acknowledged twice", n)
	}
	l.acked[n] = true
	now := time.Now()
	if !l.last.IsZero() {
		l.gap = max(l.gap, now.Sub(l.last))
	}
	l.last = now
	if len(l.acked) == l.enough {
		close(l.reached)
	}
}

// await waits for so many acknowledgements more.
func (l *ledger) await(t *testing.T, more int) {
	t.Helper()
	l.mu.Lock()
	l.enough, l.reached = len(l.acked)+more, make(chan struct{})
	reached := l.reached
	l.mu.Unlock()
	select {
	case <-reached:
	case <-time.After(2 * time.Minute):
		t.Fatal("nothing is acknowledged any more")
	}
}

// write counts and keeps a secret under the number, again and again until ctx ends. An update that failed is nobody's loss; one whose outcome is unknown
// is counted.
func (l *ledger) write(ctx context.Context, t *testing.T, s *store.Store) {
	for ctx.Err() == nil {
		var n uint64
		err := s.Update(context.WithoutCancel(ctx), func(tx *store.Tx) (err error) {
			if n, err = tx.Next("n", 1); err != nil {
				return err
			}
			return tx.PutSecret(fmt.Sprint(n), []byte("x"), time.Unix(1, 0))
		})
		switch {
		case err == nil:
			l.ack(t, n)
		case errors.Is(err, store.ErrUnknown):
			l.mu.Lock()
			l.unknown++
			l.mu.Unlock()
		default:
			t.Logf("an update failed: %v", err)
		}
	}
}

// under runs writers on two stores, as two brokers would, while do hurts the server.
func under(t *testing.T, url string, do func(*ledger)) *ledger {
	t.Helper()
	l := &ledger{acked: map[uint64]bool{}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var writers sync.WaitGroup
	for range 2 {
		s, err := store.OpenPostgres(t.Context(), store.Postgres{URL: url})
		if err == nil {
			err = s.Migrate(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close() //nolint:errcheck // the test is over
		for range 4 {
			writers.Go(func() { l.write(ctx, t, s) })
		}
	}
	do(l)
	cancel()
	writers.Wait()
	return l
}

// whole checks that everything acknowledged is there, and nothing by half.
func (l *ledger) whole(t *testing.T, url string) {
	t.Helper()
	s, err := store.OpenPostgres(t.Context(), store.Postgres{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // a read
	err = s.View(t.Context(), func(tx *store.Tx) error {
		last, err := tx.Count("n")
		if err != nil {
			return err
		}
		for n := range l.acked {
			if n > last {
				t.Errorf("update %d was acknowledged and is lost: the count is %d", n, last)
			}
		}
		for n := range last {
			if _, err := tx.Secret(fmt.Sprint(n + 1)); err != nil {
				t.Errorf("update %d is there by half: %v", n+1, err)
			}
		}
		// Each of ours counted once: what is there and was not acknowledged is what nobody could be told of.
		if extra := int(last) - len(l.acked); extra < 0 || extra > l.unknown {
			t.Errorf("%d updates are there, %d were acknowledged, of %d the outcome was unknown", last, len(l.acked), l.unknown)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d acknowledged, none lost, none doubled, %d unknown, longest gap %s", len(l.acked), l.unknown, l.gap.Round(time.Millisecond))
}

// TestThePrimaryDiesUnderLoad cuts the power of the primary while two brokers write, and promotes its synchronous standby.
func TestThePrimaryDiesUnderLoad(t *testing.T) {
	if os.Getenv("TAPLINE_SUITE") == "quick" {
		t.Skip("needs: full suite")
	}
	primary := postgrestest.Start(t)
	standby := primary.WithStandby(t)
	url := primary.NewDatabase(t, standby)
	l := under(t, url, func(l *ledger) {
		l.await(t, 200)
		if err := primary.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := standby.Promote(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.await(t, 200)
	})
	l.whole(t, url)
}

// TestTheServerCrashesAndComesBack cuts the power of a single server under load, twice, and then breaks every connection off several times.
func TestTheServerCrashesAndComesBack(t *testing.T) {
	if os.Getenv("TAPLINE_SUITE") == "quick" {
		t.Skip("needs: full suite")
	}
	server := postgrestest.Start(t)
	url := server.NewDatabase(t)
	l := under(t, url, func(l *ledger) {
		l.await(t, 100)
		for range 2 {
			if err := server.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := server.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			l.await(t, 50)
		}
		for range 10 {
			err := server.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`)
			if err != nil {
				t.Fatal(err)
			}
			l.await(t, 20)
		}
	})
	l.whole(t, url)
	if l.unknown > 0 {
		t.Errorf("of %d updates the outcome stayed unknown, though the server came back", l.unknown)
	}
}

// TestACommitThatItsStandbyDoesNotHaveIsNotAcknowledged takes the standby away: commits must wait, also when somebody cancels that wait.
func TestACommitThatItsStandbyDoesNotHaveIsNotAcknowledged(t *testing.T) {
	if os.Getenv("TAPLINE_SUITE") == "quick" {
		t.Skip("needs: full suite")
	}
	primary := postgrestest.Start(t)
	standby := primary.WithStandby(t)
	url := primary.NewDatabase(t)
	l := under(t, url, func(l *ledger) {
		l.await(t, 20)
		if err := standby.Stop(); err != nil {
			t.Fatal(err)
		}
		l.mu.Lock()
		before := len(l.acked)
		l.mu.Unlock()
		for range 5 { // the server then commits all the same, and says so in a warning
			if err := primary.Exec(t.Context(), `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`, `SELECT pg_sleep(0.2)`); err != nil {
				t.Fatal(err)
			}
		}
		l.mu.Lock()
		// What was on its way to the standby as it was stopped may count.
		if more := len(l.acked) - before; more > 8 {
			t.Errorf("%d updates were acknowledged without a standby", more)
		}
		l.mu.Unlock()
		if err := standby.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.await(t, 20)
	})
	l.whole(t, url)
}
