package tlog

import (
	"context"
	"slices"
	"time"

	"tapline/broker/store"
)

// Thin forgets heads from before a time, with their cosignatures: of each hour the last one stays. What is to go is found outside of the writer's turn.
func Thin(ctx context.Context, s *store.Store, before time.Time) error {
	var old []store.LogSize
	err := s.View(ctx, func(tx *store.Tx) (err error) {
		old, err = tx.LogSizesBefore(before)
		return err
	})
	if err != nil {
		return err
	}
	var gone []uint64
	for i, h := range old {
		if i+1 < len(old) && old[i+1].At.Truncate(time.Hour).Equal(h.At.Truncate(time.Hour)) {
			gone = append(gone, h.Size)
		}
	}
	for some := range slices.Chunk(gone, 200) {
		err := s.Update(ctx, func(tx *store.Tx) error {
			for _, size := range some {
				if err := tx.DropLogHead(size); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
