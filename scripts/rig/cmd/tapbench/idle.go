//go:build linux

package main

import (
	"context"
	"errors"
	"time"
)

// idle measures an agent that stands ready, line to the broker up, while nobody taps.
func (b *bench) idle(ctx context.Context) (err error) {
	p, s, _, err := b.plant(ctx, 3, "Reader A")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	before, err := s.Agent.Usage()
	if err != nil {
		return err
	}
	begun, over := time.Now(), time.NewTimer(b.wait)
	defer over.Stop()
	select {
	case <-over.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	took := time.Since(begun)
	after, err := s.Agent.Usage()
	if err != nil {
		return err
	}
	return b.report(result{
		Bench: "idle", Case: "connected", N: 1, Percent: 100 * float64(after.CPU-before.CPU) / float64(took),
		RSS: megabytes(after.RSS), Seconds: took.Seconds(),
	})
}
