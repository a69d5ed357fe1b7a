package ledger_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"tapline/proto/ledger"
)

// BenchmarkAppend measures durable appends of 400 bytes: one call at a time with 1, 64 or 256 entries, and 16 callers with one entry each.
// p50-ms and p99-ms are of a call, entries/s counts entries.
func BenchmarkAppend(b *testing.B) {
	for _, batch := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) { benchmarkAppend(b, batch, 1) })
	}
	b.Run("callers=16", func(b *testing.B) { benchmarkAppend(b, 1, 16) })
}

func benchmarkAppend(b *testing.B, batch, callers int) {
	l, _, err := ledger.Open(filepath.Join(b.TempDir(), "journal"), ledger.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	data := make([][]byte, batch)
	for i := range data {
		data[i] = make([]byte, 400)
		data[i][0] = 1
	}
	took := make([][]time.Duration, callers)
	var all sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for c := range callers {
		all.Go(func() {
			for n := c; n < b.N; n += callers {
				began := time.Now()
				if _, err := l.Append(context.Background(), data...); err != nil {
					b.Error(err)
					return
				}
				took[c] = append(took[c], time.Since(began))
			}
		})
	}
	all.Wait()
	b.StopTimer()
	report(b, slices.Concat(took...), batch)
}

func report(b *testing.B, took []time.Duration, batch int) {
	slices.Sort(took)
	at := func(share float64) float64 { return took[int(share*float64(len(took)-1))].Seconds() * 1000 }
	b.ReportMetric(at(0.50), "p50-ms")
	b.ReportMetric(at(0.99), "p99-ms")
	b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "entries/s")
}

// BenchmarkEntries measures reading back, in entries of 400 bytes.
func BenchmarkEntries(b *testing.B) {
	l, _, err := ledger.Open(filepath.Join(b.TempDir(), "journal"), ledger.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	data := make([][]byte, 256)
	for i := range data {
		data[i] = make([]byte, 400)
	}
	for range 100 {
		if _, err := l.Append(context.Background(), data...); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("all", func(b *testing.B) {
		b.ReportAllocs()
		n := 0
		for b.Loop() {
			for _, err := range l.Entries(1) {
				if err != nil {
					b.Fatal(err)
				}
				n++
			}
		}
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "entries/s")
	})
	b.Run("newest", func(b *testing.B) {
		b.ReportAllocs()
		_, next := l.Bounds()
		for b.Loop() {
			for _, err := range l.Entries(next - 1) {
				if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
