//go:build unix

package store_test

import (
	"crypto/ed25519"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"tapline/broker/store"
	"tapline/broker/store/postgrestest"
	"tapline/proto/record"
)

// engines are both, each new and empty.
func engines(t testing.TB) map[string]*store.Store {
	t.Helper()
	pg, err := store.OpenPostgres(t.Context(), store.Postgres{URL: postgrestest.Start(t).NewDatabase(t)})
	if err == nil {
		err = pg.Migrate(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pg.Close() })
	lite := open(t, t.TempDir())
	t.Cleanup(func() { _ = lite.Close() })
	return map[string]*store.Store{"sqlite": lite, "postgres": pg}
}

// feeder makes batches of a chain that nobody signed: the store does not look.
type feeder struct {
	head record.Head
	all  record.Entry
}

func newFeeder(t testing.TB, s *store.Store) *feeder {
	t.Helper()
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	now := time.Date(2026, 11, 25, 6, 0, 0, 0, time.UTC)
	st := record.StationStatement{
		V: record.Version, Station: "plant/press/line-4/hmi-1", Chain: "3f8e4c1e-6a59-4b07-9a0c-5b7c5a1d2e3f", IdentityKey: []byte("k"),
		FirstKey: record.PublicKeyOf(key), EnrolledAt: now,
	}
	c := record.NewChain(st)
	e, err := c.Next(record.Payload{
		Type: record.StationHeartbeat, Mode: record.ModeAttribute, Beat: &record.Beat{Interval: 300, State: "idle"},
		Time: record.Time{Wall: now, Boot: "3f8e4c1e-6a59-4b07-9a0c-5b7c5a1d2e3f", Monotonic: 1, State: record.ClockUnanchored},
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.Payload()
	if err != nil {
		t.Fatal(err)
	}
	err = s.Update(t.Context(), func(tx *store.Tx) error {
		return tx.AddChain(store.Chain{ID: st.Chain, Station: st.Station, Statement: []byte("st"), Head: st.Head(), EnrolledAt: now})
	})
	if err != nil {
		t.Fatal(err)
	}
	return &feeder{head: st.Head(), all: record.Entry{Envelope: e, Payload: p}}
}

// take stores the next n records in one update.
func (f *feeder) take(t testing.TB, s *store.Store, n int) {
	t.Helper()
	entries := make([]record.Entry, n)
	to := f.head
	for i := range entries {
		entries[i] = f.all
		to.Seq++
		entries[i].Payload.Seq = to.Seq
		entries[i].Payload.Time.Wall = f.all.Payload.Time.Wall.Add(time.Duration(to.Seq) * time.Second)
	}
	from := f.head
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		return tx.Append(from, to, entries, func(int) bool { return true }, entries[n-1].Payload.Time.Wall)
	})
	if err != nil {
		t.Fatal(err)
	}
	f.head = to
}

// BenchmarkAppend is one writer that stores batches of 100, each with a commit of its own.
func BenchmarkAppend(b *testing.B) {
	for name, s := range engines(b) {
		b.Run(name, func(b *testing.B) {
			f := newFeeder(b, s)
			before := cpu(b)
			for b.Loop() {
				f.take(b, s, 100)
			}
			b.ReportMetric(float64(100*b.N)/b.Elapsed().Seconds(), "records/s")
			b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(100*b.N), "cpu-µs/record")
		})
	}
}

// cpu is the processor time of this process.
func cpu(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestMemoryStaysFlatOverAMillionRecords stores a million records in each engine, or as many as TAPLINE_RECORDS says, and reads them all.
func TestMemoryStaysFlatOverAMillionRecords(t *testing.T) {
	if os.Getenv("TAPLINE_SUITE") != "long" {
		t.Skip("needs: long suite")
	}
	total := 1_000_000
	if n, err := strconv.Atoi(os.Getenv("TAPLINE_RECORDS")); err == nil {
		total = n
	}
	for name, s := range engines(t) {
		f, begun := newFeeder(t, s), time.Now()
		var first uint64
		for done := 0; done < total; done += 500 {
			f.take(t, s, 500)
			if done == total/10 {
				first = heap()
			}
		}
		stored := time.Since(begun)
		for after := uint64(0); after < uint64(total); {
			err := s.View(t.Context(), func(tx *store.Tx) error {
				page, err := tx.Records(store.Filter{}, after, 1000)
				if err == nil && len(page) == 0 {
					err = fmt.Errorf("nothing after %d of %d", after, total)
				}
				if err == nil {
					after = page[len(page)-1].Cursor
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		last := heap()
		t.Logf("%s: %d records, %.0f/s, heap %d KiB after a tenth and %d KiB at the end", name, total, float64(total)/stored.Seconds(), first>>10, last>>10)
		if last > first+16<<20 {
			t.Errorf("%s: the heap grew from %d to %d bytes", name, first, last)
		}
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
