package broker

import (
	"slices"
	"testing"
	"time"

	"tapline/proto/record"
)

// spread reports the p50 and p99 of what was timed, in milliseconds.
func spread(b *testing.B, times []time.Duration) {
	b.Helper()
	slices.Sort(times)
	for name, part := range map[string]int{"p50-ms": 50, "p99-ms": 99} {
		b.ReportMetric(float64(times[(len(times)-1)*part/100].Microseconds())/1000, name)
	}
}

// BenchmarkDecide is one station that taps again and again, over mutual TLS, each answer durable.
func BenchmarkDecide(b *testing.B) {
	p := newPlant(b)
	p.staff()
	s := p.enrol(press)
	var times []time.Duration
	for b.Loop() {
		req, begun := tap(anna()), time.Now()
		if r := s.open(req); !r.GetDecision().GetAllowed() {
			b.Fatal(r)
		}
		times = append(times, time.Since(begun))
	}
	spread(b, times)
}

// BenchmarkIngest is one station that sends batches of 100, each stored and acknowledged.
func BenchmarkIngest(b *testing.B) {
	p := newPlant(b)
	s := p.enrol(press)
	var times []time.Duration
	first := record.Seq(1)
	for b.Loop() {
		b.StopTimer()
		if s.chain.SealDue(time.Now()) || s.chain.Head().EpochRecords > record.MaxEpochRecords-200 {
			s = p.enrol(press)
			first = 1
		}
		batch := s.write(100)
		b.StartTimer()
		begun := time.Now()
		if _, err := s.send(first, batch); err != nil {
			b.Fatal(err)
		}
		times = append(times, time.Since(begun))
		first += 100
	}
	spread(b, times)
	b.ReportMetric(float64(100*b.N)/b.Elapsed().Seconds(), "records/s")
}
