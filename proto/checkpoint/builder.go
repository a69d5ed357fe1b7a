package checkpoint

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// Builder extends a tree leaf by leaf. It holds the tiles at the right edge and no others.
type Builder struct {
	size uint64
	edge [][]byte // of each level, the hashes of the tile that is not full
	full []TileHashes
}

// TileHashes is a tile with its content.
type TileHashes struct {
	Tile
	Hashes []byte
}

// NewBuilder goes on from a tree of a size.
func NewBuilder(size uint64, source Source) (*Builder, error) {
	b := &Builder{size: size}
	for level := 0; size>>(tileHeight*level) > 0; level++ {
		hashes := size >> (tileHeight * level)
		width := int(hashes % TileWidth)
		var edge []byte
		if width > 0 {
			have, err := source(level, hashes/TileWidth)
			if err == nil && len(have) < width*tlog.HashSize {
				err = fmt.Errorf("%d hashes, want %d", len(have)/tlog.HashSize, width)
			}
			if err != nil {
				return nil, fmt.Errorf("tile %d of level %d: %w", hashes/TileWidth, level, err)
			}
			edge = append(edge, have[:width*tlog.HashSize]...)
		}
		b.edge = append(b.edge, edge)
	}
	return b, nil
}

// Size is how many leaves there are.
func (b *Builder) Size() uint64 { return b.size }

// Append adds a leaf.
func (b *Builder) Append(leaf Hash) {
	h := leaf
	for level := 0; ; level++ {
		if level == len(b.edge) {
			b.edge = append(b.edge, nil)
		}
		b.edge[level] = append(b.edge[level], h[:]...)
		if len(b.edge[level]) < TileWidth*tlog.HashSize {
			break
		}
		b.full = append(b.full, TileHashes{Tile{Level: level, Index: b.size >> (tileHeight * (level + 1)), Width: TileWidth}, b.edge[level]})
		h = top(b.edge[level])
		b.edge[level] = nil
	}
	b.size++
}

// top is the hash over a full tile.
func top(hashes []byte) Hash {
	level := make([]Hash, len(hashes)/tlog.HashSize)
	for i := range level {
		level[i] = Hash(hashes[i*tlog.HashSize:])
	}
	for len(level) > 1 {
		for i := range len(level) / 2 {
			level[i] = tlog.NodeHash(level[2*i], level[2*i+1])
		}
		level = level[:len(level)/2]
	}
	return level[0]
}

// Root is the root of the tree now.
func (b *Builder) Root() (Hash, error) { return NewReader(b.source).Root(b.size) }

func (b *Builder) source(level int, index uint64) ([]byte, error) {
	if level >= len(b.edge) || index != b.size>>(tileHeight*(level+1)) {
		return nil, fmt.Errorf("not at the edge of a tree of %d", b.size)
	}
	return b.edge[level], nil
}

// Take gives the tiles that became full since the last Take, and those at the edge.
func (b *Builder) Take() []TileHashes {
	all := b.full
	b.full = nil
	for level, hashes := range b.edge {
		if len(hashes) > 0 {
			all = append(all, TileHashes{
				Tile{Level: level, Index: b.size >> (tileHeight * (level + 1)), Width: len(hashes) / tlog.HashSize}, append([]byte(nil), hashes...),
			})
		}
	}
	return all
}
