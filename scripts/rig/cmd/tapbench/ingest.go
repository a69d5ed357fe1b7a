//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/scripts/fleet"
	"tapline/scripts/rig"
)

// intake is a case of the benchmark of ingest.
type intake struct {
	Bench    string  `json:"bench"`
	Case     string  `json:"case"`
	Stations int     `json:"stations"`
	Batch    int     `json:"batch"`
	N        int     `json:"n"`
	P50      float64 `json:"p50_ms"` // of a batch, to its receipt
	P99      float64 `json:"p99_ms"`
	PerS     float64 `json:"per_s"`          // acknowledged
	Verified float64 `json:"verified_per_s"` // every signature checked
	CPU      float64 `json:"cpu_us_per_op"`  // of the broker, verification included
	StoreCPU float64 `json:"db_cpu_us_per_op"`
	RSS      float64 `json:"rss_mb"`
	RSSStart float64 `json:"rss_start_mb"` // after the first tenth
}

const (
	uploaders = 8
	batchSize = 100
)

// ingest has stations upload as fast as they get receipts.
func (b *bench) ingest(ctx context.Context) error {
	for _, store := range b.stores {
		if err := b.intakes(ctx, store, store, b.n); err != nil {
			return fmt.Errorf("%s: %w", store, err)
		}
	}
	if b.million == 0 {
		return nil
	}
	return b.intakes(ctx, b.stores[0], "memory", b.million)
}

func (b *bench) intakes(ctx context.Context, store, name string, n int) error {
	h, err := b.hall(ctx, store, 1, uploaders, 1)
	if err != nil {
		return err
	}
	r, err := h.intake(ctx, n)
	r.Bench, r.Case = "ingest", name
	return errors.Join(err, h.close(), b.report(r))
}

// intake uploads n records in ten rounds. What the stations do for themselves, the signing, is not in the time.
func (h *hall) intake(ctx context.Context, n int) (intake, error) {
	const rounds = 10
	r := intake{Stations: uploaders, Batch: batchSize}
	before, err := h.used()
	if err != nil {
		return r, err
	}
	var took []time.Duration
	var acked, verified time.Duration
	for round := range rounds {
		if err := h.write(n / rounds / uploaders); err != nil {
			return r, err
		}
		begun := time.Now()
		some, err := h.upload(ctx)
		if err != nil {
			return r, err
		}
		acked += time.Since(begun)
		if err := h.awaitVerified(ctx); err != nil {
			return r, err
		}
		verified += time.Since(begun)
		took = append(took, some...)
		if round == 0 {
			u, err := h.used()
			if err != nil {
				return r, err
			}
			r.RSSStart = megabytes(u.broker.RSS)
		}
	}
	after, err := h.used()
	if err != nil {
		return r, err
	}
	r.N = n / rounds / uploaders * uploaders * rounds
	r.P50, r.P99 = rig.Percentile(took, 50), rig.Percentile(took, 99)
	r.PerS, r.Verified = float64(r.N)/acked.Seconds(), float64(r.N)/verified.Seconds()
	r.CPU, r.StoreCPU = per(r.N, after.broker.CPU-before.broker.CPU), per(r.N, after.store-before.store)
	r.RSS = megabytes(after.broker.RSS)
	return r, nil
}

func (h *hall) each(do func(*fleet.Station) error) error {
	var g errgroup.Group
	for _, s := range h.fleet.Stations {
		g.Go(func() error { return do(s) })
	}
	return g.Wait()
}

func (h *hall) write(n int) error {
	return h.each(func(s *fleet.Station) error { return s.Beat(n) })
}

func (h *hall) upload(ctx context.Context) ([]time.Duration, error) {
	var mu sync.Mutex
	var all []time.Duration
	err := h.each(func(s *fleet.Station) error {
		took, err := s.Upload(ctx, batchSize)
		mu.Lock()
		defer mu.Unlock()
		all = append(all, took...)
		return err
	})
	return all, err
}

// awaitVerified waits until the broker has checked the signature of the newest record, and with it, as it goes in order, of all.
func (h *hall) awaitVerified(ctx context.Context) error {
	health, err := h.admin.GetHealth(ctx, &taplinev1.GetHealthRequest{})
	if err != nil {
		return err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		stream, err := h.admin.Audit.QueryRecords(ctx, &taplinev1.QueryRecordsRequest{After: health.GetRecords() - 1, Limit: 1})
		if err != nil {
			return err
		}
		m, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("read the newest record: %w", err)
		}
		if m.GetRecord().GetVerified() {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
