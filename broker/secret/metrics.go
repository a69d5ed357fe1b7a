package secret

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"tapline/broker/store"
)

// Collectors are the metrics of secrets.
func (k *Keeper) Collectors() []prometheus.Collector {
	counter := func(name, help string, read func() uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(read()) })
	}
	return []prometheus.Collector{
		counter("tapline_secret_releases_total", "Secrets of shared accounts handed to stations by this broker.", k.released.Load),
		counter("tapline_secret_refusals_total", "Requests for secrets that were refused by this broker.", k.refused.Load),
		counter("tapline_secret_rotations_total", "Secrets that this broker put in force.", k.rotated.Load),
		counter("tapline_secret_rotation_failures_total", "Tries to change a secret that did not succeed.", k.failed.Load),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tapline_secret_rotations_stuck", Help: "Secrets that could not be changed in several tries.",
		}, k.stuck),
	}
}

func (k *Keeper) stuck() float64 {
	n := 0
	_ = k.Store.View(context.Background(), func(tx *store.Tx) error {
		open, err := tx.OpenRotations("")
		for _, r := range open {
			if stateOf(r) == stateStuck {
				n++
			}
		}
		return err
	})
	return float64(n)
}
