package secret

import (
	"context"
	"time"

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

// askWithin bounds how long the metrics wait for the store.
const askWithin = time.Second

// stuck asks the store; while that does not answer it is what it was.
func (k *Keeper) stuck() float64 {
	ctx, cancel := context.WithTimeout(context.Background(), askWithin)
	defer cancel()
	n := uint64(0)
	err := k.Store.View(ctx, func(tx *store.Tx) error {
		open, err := tx.OpenRotations("")
		for _, r := range open {
			if stateOf(r) == stateStuck {
				n++
			}
		}
		return err
	})
	if err != nil {
		return float64(k.lastStuck.Load())
	}
	k.lastStuck.Store(n)
	return float64(n)
}
