package checkpoint

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// LeafHash is the hash of a leaf over its data (RFC 6962, section 2.1).
func LeafHash(data []byte) Hash { return tlog.RecordHash(data) }

// EmptyRoot is the root of the tree without leaves: the SHA-256 of nothing.
func EmptyRoot() Hash { return sha256.Sum256(nil) }

// ErrProof says that a proof proves nothing of the kind.
var ErrProof = errors.New("the proof does not hold")

// CheckInclusion checks that the leaf stands at an index of the tree with a size and a root (RFC 6962, section 2.1.1).
func CheckInclusion(size uint64, root Hash, index uint64, leaf Hash, path []Hash) error {
	if size > MaxSize || index >= size {
		return fmt.Errorf("%w: leaf %d in a log of %d", ErrProof, index, size)
	}
	if err := tlog.CheckRecord(path, int64(size), root, int64(index), leaf); err != nil {
		return fmt.Errorf("%w: leaf %d in a log of %d", ErrProof, index, size)
	}
	return nil
}

// CheckConsistency checks that the tree of a size and root is the beginning of the tree of another (RFC 6962, section 2.1.2). Of the empty log every
// one is a continuation, and its proof is empty.
func CheckConsistency(from uint64, fromRoot Hash, to uint64, toRoot Hash, path []Hash) error {
	if from > to || to > MaxSize {
		return fmt.Errorf("%w: a log of %d does not continue one of %d", ErrProof, to, from)
	}
	if from == 0 {
		if len(path) > 0 || fromRoot != EmptyRoot() || to == 0 && toRoot != fromRoot {
			return fmt.Errorf("%w: the beginning is the empty tree, and its proof is empty", ErrProof)
		}
		return nil
	}
	if err := tlog.CheckTree(path, int64(to), toRoot, int64(from), fromRoot); err != nil {
		return fmt.Errorf("%w: that the log of %d continues the one of %d", ErrProof, to, from)
	}
	return nil
}

// Source gives the hashes of a tile, one behind the other: as many as it has. It is asked for full tiles and those at the right edge.
type Source func(level int, index uint64) ([]byte, error)

// Reader reads hashes of a tree from its tiles. It keeps the last tile of each level, so reading from left to right asks for each tile once. One
// goroutine uses it.
type Reader struct {
	source Source
	kept   map[int]tileData
}

type tileData struct {
	index  uint64
	hashes []byte
}

// NewReader makes a reader.
func NewReader(source Source) *Reader { return &Reader{source: source, kept: map[int]tileData{}} }

// ReadHashes reads hashes by their places, as package tlog counts them.
func (r *Reader) ReadHashes(places []int64) ([]Hash, error) {
	all := make([]Hash, len(places))
	for i, p := range places {
		t := tlog.TileForIndex(tileHeight, p)
		have, ok := r.kept[t.L]
		if !ok || have.index != uint64(t.N) || len(have.hashes) < t.W*tlog.HashSize {
			hashes, err := r.source(t.L, uint64(t.N))
			if err != nil {
				return nil, fmt.Errorf("tile %d of level %d: %w", t.N, t.L, err)
			}
			have = tileData{uint64(t.N), hashes}
			r.kept[t.L] = have
		}
		h, err := tlog.HashFromTile(t, have.hashes, p)
		if err != nil {
			return nil, fmt.Errorf("tile %d of level %d: %w", t.N, t.L, err)
		}
		all[i] = h
	}
	return all, nil
}

// Root is the root of the tree over the first size leaves.
func (r *Reader) Root(size uint64) (Hash, error) {
	if size == 0 {
		return EmptyRoot(), nil
	}
	return tlog.TreeHash(int64(size), r)
}

// Leaf is the hash of a leaf.
func (r *Reader) Leaf(index uint64) (Hash, error) { return r.span(index, index+1) }

// ProveInclusion is the path for CheckInclusion.
func (r *Reader) ProveInclusion(size, index uint64) ([]Hash, error) {
	if size > MaxSize || index >= size {
		return nil, fmt.Errorf("no leaf %d in a log of %d", index, size)
	}
	return tlog.ProveRecord(int64(size), int64(index), r)
}

// ProveConsistency is the path for CheckConsistency.
func (r *Reader) ProveConsistency(from, to uint64) ([]Hash, error) {
	switch {
	case from > to || to > MaxSize:
		return nil, fmt.Errorf("a log of %d does not continue one of %d", to, from)
	case from == 0 || from == to:
		return nil, nil
	}
	return tlog.ProveTree(int64(to), int64(from), r)
}

// span is the hash over the leaves from lo to hi, a subtree that a proof leaves whole.
func (r *Reader) span(lo, hi uint64) (Hash, error) {
	n := hi - lo
	if n&(n-1) == 0 && lo%n == 0 {
		level := bits.TrailingZeros64(n)
		h, err := r.ReadHashes([]int64{tlog.StoredHashIndex(level, int64(lo>>level))})
		if err != nil {
			return Hash{}, err
		}
		return h[0], nil
	}
	k := split(n)
	left, err := r.span(lo, lo+k)
	if err != nil {
		return Hash{}, err
	}
	right, err := r.span(lo+k, hi)
	if err != nil {
		return Hash{}, err
	}
	return tlog.NodeHash(left, right), nil
}

// split is the greatest power of two below n: how many leaves stand left of the middle (RFC 6962, section 2.1).
func split(n uint64) uint64 { return 1 << (bits.Len64(n-1) - 1) }
