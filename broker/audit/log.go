package audit

import (
	"context"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/store"
	"tapline/broker/tlog"
	"tapline/proto/checkpoint"
	"tapline/proto/wire"
)

// GetCheckpoint gives the newest signed head of the log.
func (s *Service) GetCheckpoint(ctx context.Context, req *taplinev1.GetCheckpointRequest) (*taplinev1.GetCheckpointResponse, error) {
	if n := req.GetCosignatures(); int(n) > len(s.Log.Witnesses) {
		return nil, wire.E(wire.Invalid, "cosignatures: %d, and the broker has %d witnesses", n, len(s.Log.Witnesses))
	}
	signed, err := s.Log.Checkpoint(ctx, int(req.GetCosignatures()))
	return &taplinev1.GetCheckpointResponse{Checkpoint: signed}, err
}

// ProveInclusion proves that a record is in the log.
func (s *Service) ProveInclusion(ctx context.Context, req *taplinev1.ProveInclusionRequest) (*taplinev1.ProveInclusionResponse, error) {
	path, signed, err := s.Log.Inclusion(ctx, req.GetLeaf(), req.GetSize())
	if err != nil {
		return nil, err
	}
	return &taplinev1.ProveInclusionResponse{Path: hashes(path), Checkpoint: signed}, nil
}

// ProveConsistency proves that the log of one size is the beginning of the log of another.
func (s *Service) ProveConsistency(ctx context.Context, req *taplinev1.ProveConsistencyRequest) (*taplinev1.ProveConsistencyResponse, error) {
	path, signed, err := s.Log.Consistency(ctx, req.GetFromSize(), req.GetToSize())
	if err != nil {
		return nil, err
	}
	return &taplinev1.ProveConsistencyResponse{Path: hashes(path), Checkpoint: signed}, nil
}

// GetTile gives a tile of the log, or a bundle of records.
func (s *Service) GetTile(ctx context.Context, req *taplinev1.GetTileRequest) (*taplinev1.GetTileResponse, error) {
	t, err := checkpoint.ParseTile(req.GetPath())
	if err != nil {
		return nil, wire.E(wire.Invalid, "path: %w", err)
	}
	data, err := s.Log.Tile(ctx, t)
	if err != nil {
		return nil, err
	}
	if len(data) > wire.MaxMessage-64 {
		return nil, wire.E(wire.Precondition, "path: %s has %d bytes, more than a message may; ask for a part of it, such as %s", req.GetPath(), len(data),
			checkpoint.Tile{Entries: t.Entries, Level: t.Level, Index: t.Index, Width: t.Width / 2}.Path())
	}
	return &taplinev1.GetTileResponse{Data: data}, nil
}

func hashes(path []checkpoint.Hash) [][]byte {
	all := make([][]byte, len(path))
	for i := range path {
		all[i] = path[i][:]
	}
	return all
}

// leaf is a record's place in the log plus one; 0 while no checkpoint of a size covers it.
func leaf(r store.Record, size uint64) uint64 {
	if r.Cursor > size {
		return 0
	}
	return r.Cursor
}

// logged reads how many records the newest checkpoint covers.
func logged(tx *store.Tx) (uint64, error) { return tlog.PublishedSize(tx) }
