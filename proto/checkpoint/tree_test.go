package checkpoint

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// forest is a tree whose tiles are kept as a broker keeps them, and its leaves.
type forest struct {
	tiles  map[[2]uint64][]byte
	leaves []Hash
	size   uint64
}

func (f *forest) source(level int, index uint64) ([]byte, error) {
	b, ok := f.tiles[[2]uint64{uint64(level), index}]
	if !ok {
		return nil, errors.New("no such tile")
	}
	return b, nil
}

// grow adds leaves in steps, each with a builder of its own, as after a restart.
func (f *forest) grow(t testing.TB, to uint64, step uint64) {
	t.Helper()
	for f.size < to {
		b, err := NewBuilder(f.size, f.source)
		if err != nil {
			t.Fatal(err)
		}
		for range min(step, to-f.size) {
			h := LeafHash(fmt.Appendf(nil, "leaf %d", b.Size()))
			f.leaves = append(f.leaves, h)
			b.Append(h)
		}
		for _, tile := range b.Take() {
			f.tiles[[2]uint64{uint64(tile.Level), tile.Index}] = tile.Hashes
		}
		f.size = b.Size()
		if f.size > 1000 && f.size < to {
			continue
		}
		root, err := b.Root()
		if err != nil || root != mth(f.leaves) {
			t.Fatalf("root at %d is %v (%v), want %v", f.size, root, err, mth(f.leaves))
		}
	}
}

// mth is the tree's hash as RFC 6962, section 2.1, writes it down.
func mth(leaves []Hash) Hash {
	switch len(leaves) {
	case 0:
		return EmptyRoot()
	case 1:
		return leaves[0]
	}
	k := 1
	for k*2 < len(leaves) {
		k *= 2
	}
	return tlog.NodeHash(mth(leaves[:k]), mth(leaves[k:]))
}

func newForest(t testing.TB, size, step uint64) *forest {
	f := &forest{tiles: map[[2]uint64][]byte{}}
	f.grow(t, size, step)
	return f
}

func TestAnyBitThatIsChangedInAProofIsSeen(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	f := newForest(t, 700, 1)
	reader := NewReader(f.source)
	for range 300 {
		size := r.Uint64N(f.size) + 1
		index := r.Uint64N(size)
		root, leaf := mth(f.leaves[:size]), f.leaves[index]
		if got, err := reader.Root(size); err != nil || got != root {
			t.Fatalf("root at %d: %v, %v", size, got, err)
		}
		path, err := reader.ProveInclusion(size, index)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckInclusion(size, root, index, leaf, path); err != nil {
			t.Fatalf("leaf %d in %d: %v", index, size, err)
		}
		wrong := func(what string, err error) {
			t.Helper()
			if !errors.Is(err, ErrProof) {
				t.Errorf("leaf %d in %d, %s changed: %v", index, size, what, err)
			}
		}
		wrong("root", CheckInclusion(size, flip(r, root), index, leaf, path))
		wrong("leaf", CheckInclusion(size, root, index, flip(r, leaf), path))
		for i := range path {
			changed := slices.Clone(path)
			changed[i] = flip(r, path[i])
			wrong("path", CheckInclusion(size, root, index, leaf, changed))
		}
		if index+1 < size {
			wrong("index", CheckInclusion(size, root, index+1, leaf, path))
		}
		wrong("length", CheckInclusion(size, root, index, leaf, append(slices.Clone(path), leaf)))

		from := r.Uint64N(size + 1)
		way, err := reader.ProveConsistency(from, size)
		if err != nil {
			t.Fatal(err)
		}
		before := mth(f.leaves[:from])
		if err := CheckConsistency(from, before, size, root, way); err != nil {
			t.Fatalf("%d to %d: %v", from, size, err)
		}
		wrong("old root", CheckConsistency(from, flip(r, before), size, root, way))
		if from > 0 {
			wrong("new root", CheckConsistency(from, before, size, flip(r, root), way))
		}
		for i := range way {
			changed := slices.Clone(way)
			changed[i] = flip(r, way[i])
			wrong("way", CheckConsistency(from, before, size, root, changed))
		}
	}
	for _, err := range []error{
		CheckInclusion(3, Hash{}, 3, Hash{}, nil), CheckInclusion(MaxSize+1, Hash{}, 3, Hash{}, nil), CheckConsistency(3, Hash{}, 2, Hash{}, nil),
		CheckConsistency(0, EmptyRoot(), 2, Hash{}, make([]Hash, 1)), CheckConsistency(0, EmptyRoot(), MaxSize+1, Hash{}, nil),
	} {
		if !errors.Is(err, ErrProof) {
			t.Errorf("got %v, want ErrProof", err)
		}
	}
}

func flip(r *rand.Rand, h Hash) Hash {
	h[r.IntN(len(h))] ^= 1 << r.IntN(8)
	return h
}

func TestATreeIsTheSameHoweverItGrew(t *testing.T) {
	want := newForest(t, 66_000, 66_000)
	for _, step := range []uint64{255, 256, 257, 5000} {
		got := newForest(t, 66_000, step)
		if len(got.tiles) != len(want.tiles) {
			t.Errorf("in steps of %d: %d tiles, want %d", step, len(got.tiles), len(want.tiles))
		}
		for at, hashes := range want.tiles {
			if !slices.Equal(got.tiles[at], hashes) {
				t.Errorf("in steps of %d tile %v differs", step, at)
			}
		}
	}
	// A client that knows nothing of ours reads the tiles and checks each against the root.
	root := mth(want.leaves)
	reader := tlog.TileHashReader(tlog.Tree{N: int64(want.size), Hash: root}, client{want})
	for _, index := range []int64{0, 255, 256, 65_535, 65_536, 65_999} {
		proof, err := tlog.ProveRecord(int64(want.size), index, reader)
		if err == nil {
			err = tlog.CheckRecord(proof, int64(want.size), root, index, want.leaves[index])
		}
		if err != nil {
			t.Errorf("leaf %d: %v", index, err)
		}
	}
}

// client reads tiles by their paths.
type client struct{ *forest }

func (client) Height() int { return tileHeight }

func (c client) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	all := make([][]byte, len(tiles))
	for i, want := range tiles {
		tile, err := ParseTile(Tile{Level: want.L, Index: uint64(want.N), Width: want.W}.Path())
		if err != nil || !tile.In(c.size) {
			return nil, fmt.Errorf("tile %v of a tree of %d: %w", want, c.size, err)
		}
		b, err := c.source(tile.Level, tile.Index)
		if err != nil {
			return nil, err
		}
		all[i] = b[:tile.Width*tlog.HashSize]
	}
	return all, nil
}

func (client) SaveTiles([]tlog.Tile, [][]byte) {}

func TestTheRootOfATreeComesOutOfSomeLeavesAndWhatIsBetween(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	f := newForest(t, 1000, 1000)
	for range 300 {
		size := r.Uint64N(f.size + 1)
		var set []uint64
		share := r.Float64() * r.Float64()
		for i := range size {
			if r.Float64() < share {
				set = append(set, i)
			}
		}
		var between []Hash
		err := NewReader(f.source).ProveSet(size, func(from uint64) (uint64, bool) {
			i, _ := slices.BinarySearch(set, from)
			if i == len(set) {
				return 0, false
			}
			return set[i], true
		}, func(h Hash) error { between = append(between, h); return nil })
		if err != nil {
			t.Fatal(err)
		}
		leaves := make([]Leaf, len(set))
		for i, at := range set {
			leaves[i] = Leaf{at, f.leaves[at]}
		}
		want := mth(f.leaves[:size])
		if root, left, err := rootOf(size, leaves, between); err != nil || root != want || left != 0 {
			t.Fatalf("%d of %d: %v with %d hashes left, %v, want %v", len(set), size, root, left, err, want)
		}
		if len(set) == 0 {
			continue
		}
		i := r.IntN(len(set))
		changed := slices.Clone(leaves)
		changed[i].Hash = flip(r, changed[i].Hash)
		if root, _, _ := rootOf(size, changed, between); root == want {
			t.Errorf("leaf %d of %d was changed and the root is the same", set[i], size)
		}
		if root, left, err := rootOf(size, slices.Delete(slices.Clone(leaves), i, i+1), between); err == nil && root == want && left == 0 {
			t.Errorf("leaf %d of %d was taken away and the root is the same", set[i], size)
		}
		if _, _, err := rootOf(size, append(slices.Clone(leaves), leaves[i]), between); !errors.Is(err, ErrOrder) {
			t.Errorf("a leaf came twice: %v", err)
		}
	}
}

func rootOf(size uint64, leaves []Leaf, between []Hash) (Hash, int, error) {
	root, err := RootOfSet(size, func() (Leaf, bool, error) {
		if len(leaves) == 0 {
			return Leaf{}, false, nil
		}
		l := leaves[0]
		leaves = leaves[1:]
		return l, true, nil
	}, func() (Hash, error) {
		if len(between) == 0 {
			return Hash{}, errors.New("no more")
		}
		h := between[0]
		between = between[1:]
		return h, nil
	})
	return root, len(between), err
}

func TestTilesAreThereWhenTheTreeHasThem(t *testing.T) {
	for path, sizes := range map[string][2]uint64{ // greatest size without it, smallest with it
		"tile/0/000":            {255, 256},
		"tile/0/000.p/1":        {0, 1},
		"tile/0/001.p/5":        {260, 261},
		"tile/1/000.p/2":        {511, 512},
		"tile/entries/x001/000": {256_255, 256_256},
	} {
		tile, err := ParseTile(path)
		if err != nil || tile.In(sizes[0]) || !tile.In(sizes[1]) {
			t.Errorf("%s: %+v, %v, in %d: %v, in %d: %v", path, tile, err, sizes[0], tile.In(sizes[0]), sizes[1], tile.In(sizes[1]))
		}
	}
	for _, path := range []string{
		"", "tile", "tile/0", "tile/64/000", "tile/01/000", "tile/0/0", "tile/0/0000", "tile/0/x001", "tile/0/001/234", "tile/0/x000/001", "tile/0/000.p/0",
		"tile/0/000.p/256", "tile/0/000.p/01", "tile/0/000.p", "tile/0/-01", "tile/-1/000", "/tile/0/000", "tile/0/000/", "tile/data/000",
		"tile/0/x999/x999/x999/x999/x999/x999/x999/x999/999",
	} {
		if tile, err := ParseTile(path); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q was read as %+v, %v", path, tile, err)
		}
	}
}

func BenchmarkExtend(b *testing.B) {
	builder, err := NewBuilder(0, nil)
	if err != nil {
		b.Fatal(err)
	}
	data := make([]byte, 900)
	for i := range b.N {
		data[0], data[1], data[2] = byte(i), byte(i>>8), byte(i>>16)
		builder.Append(LeafHash(data))
		if i%500 == 499 {
			builder.Take()
		}
	}
}

func BenchmarkProveInAMillion(b *testing.B) {
	f := &forest{tiles: map[[2]uint64][]byte{}}
	builder, err := NewBuilder(0, f.source)
	if err != nil {
		b.Fatal(err)
	}
	for i := range 1_000_000 {
		builder.Append(LeafHash(fmt.Appendf(nil, "leaf %d", i)))
	}
	for _, tile := range builder.Take() {
		f.tiles[[2]uint64{uint64(tile.Level), tile.Index}] = tile.Hashes
	}
	r := rand.New(rand.NewPCG(1, 1))
	b.ResetTimer()
	for range b.N {
		if _, err := NewReader(f.source).ProveInclusion(1_000_000, r.Uint64N(1_000_000)); err != nil {
			b.Fatal(err)
		}
	}
}
