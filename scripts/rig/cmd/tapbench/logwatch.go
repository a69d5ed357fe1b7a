//go:build linux

package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"tapline/proto/checkpoint"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/scripts/fleet"
	"tapline/scripts/rig"
)

// logWatch keeps every head of the Merkle log that any broker shows, as a witness does.
type logWatch struct {
	roots map[uint64]string // root by size
	forks int               // heads that do not belong to one log
}

const lookEvery = 100 * time.Millisecond

// run looks at every broker until ctx ends. A broker that does not answer shows nothing.
func (w *logWatch) run(ctx context.Context, c *rig.Cluster) (err error) {
	var all []*fleet.Admin
	defer func() {
		for _, a := range all {
			err = errors.Join(err, a.Close())
		}
	}()
	for _, m := range c.Members {
		a, err := fleet.DialAdmin(c.Identity(), m.Address)
		if err != nil {
			return err
		}
		all = append(all, a)
	}
	again := time.NewTicker(lookEvery)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-again.C:
		}
		for _, a := range all {
			asked, cancel := context.WithTimeout(ctx, lookEvery)
			m, err := a.Audit.GetCheckpoint(asked, &taplinev1.GetCheckpointRequest{})
			cancel()
			if err != nil {
				continue
			}
			if err := w.see(m.GetCheckpoint()); err != nil {
				return err
			}
		}
	}
}

func (w *logWatch) see(signed []byte) error {
	c, err := checkpoint.Read(signed)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	root := hex.EncodeToString(c.Root[:])
	switch before, ok := w.roots[c.Size]; {
	case !ok:
		w.roots[c.Size] = root
	case before != root:
		w.forks++
	}
	return nil
}

// judge asks for the proof that each head seen is a beginning of the newest.
func (w *logWatch) judge(ctx context.Context, from *fleet.Admin) error {
	m, err := from.Audit.GetCheckpoint(ctx, &taplinev1.GetCheckpointRequest{})
	if err != nil {
		return err
	}
	newest, err := checkpoint.Read(m.GetCheckpoint())
	if err != nil {
		return err
	}
	for size, root := range w.roots {
		p, err := from.Audit.ProveConsistency(ctx, &taplinev1.ProveConsistencyRequest{FromSize: size, ToSize: newest.Size})
		if err != nil {
			return fmt.Errorf("proof from size %d: %w", size, err)
		}
		var path []checkpoint.Hash
		for _, h := range p.GetPath() {
			path = append(path, checkpoint.Hash(h))
		}
		had, err := hex.DecodeString(root)
		if err != nil {
			return err
		}
		if err := checkpoint.CheckConsistency(size, checkpoint.Hash(had), newest.Size, newest.Root, path); err != nil {
			w.forks++
		}
	}
	return nil
}
