//go:build linux

package rig

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"time"
)

// Timing is what an agent logged of one tap.
type Timing struct {
	Total     time.Duration // reader event to durable record
	DecidedBy string        // broker, bundle or station
	Outcome   string
}

// Timings reads the taps from an agent's log, oldest first.
func (s *Station) Timings() ([]Timing, error) {
	f, err := os.Open(s.Agent.Log())
	if err != nil {
		return nil, fmt.Errorf("read taps: %w", err)
	}
	defer f.Close()
	var all []Timing
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			Msg       string `json:"msg"`
			Total     *int64 `json:"total_us"`
			DecidedBy string `json:"decided_by"`
			Outcome   string `json:"outcome"`
		}
		// Lines that are no JSON are a crash's; the taps are what is asked for.
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "tap" && line.Total != nil {
			all = append(all, Timing{time.Duration(*line.Total) * time.Microsecond, line.DecidedBy, line.Outcome})
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read taps: %w", err)
	}
	return all, nil
}

// Totals are the total times of taps.
func Totals(taps []Timing) []time.Duration {
	all := make([]time.Duration, len(taps))
	for i, t := range taps {
		all[i] = t.Total
	}
	return all
}

// Percentile is the smallest value that p percent of the values do not exceed (nearest rank), in milliseconds; 0 for no values.
func Percentile(values []time.Duration, p float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return milliseconds(sorted[max(rank, 1)-1])
}

func milliseconds(d time.Duration) float64 {
	return math.Round(float64(d)/float64(time.Millisecond)*1000) / 1000
}
