package tlog

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"tapline/broker/store"
	"tapline/proto/checkpoint"
)

// BenchmarkExtend takes stored records into the log, with every checkpoint that falls due. One operation is one record.
func BenchmarkExtend(b *testing.B) {
	r := newRig(b)
	r.write(b.N)
	l := r.log(b.TempDir())
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	b.ResetTimer()
	r.looks(l)
	b.StopTimer()
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/1024, "heap-growth-KiB")
}

// BenchmarkProve proves records of a log of a million, as the audit service does.
func BenchmarkProve(b *testing.B) {
	const size = 1_000_000
	r := newRig(b)
	builder, err := checkpoint.NewBuilder(0, nil)
	r.must(err)
	for i := range size {
		builder.Append(checkpoint.LeafHash(fmt.Append(nil, i)))
	}
	root, err := builder.Root()
	r.must(err)
	r.must(r.store.Update(b.Context(), func(tx *store.Tx) error {
		for _, t := range builder.Take() {
			if err := tx.PutLogTile(t.Level, t.Index, t.Hashes); err != nil {
				return err
			}
		}
		if err := tx.AddLogHead(store.LogHead{Size: size, Root: root, Epoch: 1, At: r.now}); err != nil {
			return err
		}
		return tx.Publish(size, []byte("signed"))
	}))
	l := r.log(b.TempDir())
	dice := rand.New(rand.NewPCG(1, 1))
	for _, what := range []string{"inclusion", "consistency"} {
		b.Run(what, func(b *testing.B) {
			for b.Loop() {
				var err error
				if what == "inclusion" {
					_, _, err = l.Inclusion(b.Context(), dice.Uint64N(size), 0)
				} else {
					_, _, err = l.Consistency(b.Context(), dice.Uint64N(size), 0)
				}
				r.must(err)
			}
		})
	}
}
