package checkpoint

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// maxDepth bounds the recursion: a tree has no more levels.
const maxDepth = 64

// ProveSet proves many leaves at once: it gives the hashes of those parts of the tree that hold none of them, from left to right. next tells the first
// of the proven leaves from an index on; ok is false if there is none. Whoever has the leaves and these hashes can work out the root (RootOfSet).
func (r *Reader) ProveSet(size uint64, next func(from uint64) (index uint64, ok bool), give func(Hash) error) error {
	if size > MaxSize {
		return fmt.Errorf("no log has %d leaves", size)
	}
	var walk func(lo, hi uint64) error
	walk = func(lo, hi uint64) error {
		at, ok := next(lo)
		switch {
		case !ok || at >= hi:
			h, err := r.span(lo, hi)
			if err != nil {
				return err
			}
			return give(h)
		case hi-lo == 1:
			return nil
		}
		middle := lo + split(hi-lo)
		if err := walk(lo, middle); err != nil {
			return err
		}
		return walk(middle, hi)
	}
	if size == 0 {
		return nil
	}
	return walk(0, size)
}

// Leaf is a leaf and where it stands.
type Leaf struct {
	Index uint64
	Hash  Hash
}

// ErrOrder says that leaves do not come in the order of the log, each once, within its size.
var ErrOrder = errors.New("the leaves are not in the order of the log")

// RootOfSet works out the root of a tree from some of its leaves, in the order of the log, and the hashes that ProveSet gave. leaf gives the next leaf,
// ok false when there are no more; skipped the next hash. It asks for no more of either than the tree has room for, and leaves that are left
// over are ErrOrder; the caller looks whether hashes are.
func RootOfSet(size uint64, leaf func() (l Leaf, ok bool, err error), skipped func() (Hash, error)) (Hash, error) {
	if size > MaxSize {
		return Hash{}, fmt.Errorf("%w: no log has %d leaves", ErrProof, size)
	}
	s := &setReader{leaf: leaf, skipped: skipped}
	if err := s.advance(); err != nil {
		return Hash{}, err
	}
	root := EmptyRoot()
	if size > 0 {
		var err error
		if root, err = s.walk(0, size, 0); err != nil {
			return Hash{}, err
		}
	}
	if s.more {
		return Hash{}, fmt.Errorf("%w: leaf %d in a log of %d", ErrOrder, s.head.Index, size)
	}
	return root, nil
}

type setReader struct {
	leaf    func() (Leaf, bool, error)
	skipped func() (Hash, error)
	head    Leaf
	more    bool // head is a leaf
}

// advance takes the next leaf, which must stand behind the one before.
func (s *setReader) advance() error {
	before, had := s.head.Index, s.more
	var err error
	s.head, s.more, err = s.leaf()
	if err == nil && had && s.more && s.head.Index <= before {
		err = fmt.Errorf("%w: leaf %d behind leaf %d", ErrOrder, s.head.Index, before)
	}
	return err
}

func (s *setReader) walk(lo, hi uint64, depth int) (Hash, error) {
	switch {
	case depth > maxDepth:
		return Hash{}, fmt.Errorf("%w: too deep", ErrProof)
	case !s.more || s.head.Index >= hi:
		return s.skipped()
	case hi-lo == 1:
		h := s.head.Hash
		return h, s.advance()
	}
	middle := lo + split(hi-lo)
	left, err := s.walk(lo, middle, depth+1)
	if err != nil {
		return Hash{}, err
	}
	right, err := s.walk(middle, hi, depth+1)
	if err != nil {
		return Hash{}, err
	}
	return tlog.NodeHash(left, right), nil
}

// String is the leaf as a line of a list of leaves: "INDEX HASH".
func (l Leaf) String() string {
	return strconv.FormatUint(l.Index, 10) + " " + strict.EncodeToString(l.Hash[:])
}

// ParseLeaf reads what String writes, and no other spelling of it.
func ParseLeaf(line string) (Leaf, error) {
	number, hash, _ := strings.Cut(line, " ")
	index, err := parseNumber(number)
	if err != nil {
		return Leaf{}, fmt.Errorf("index: %w", err)
	}
	h, err := ParseHash(hash)
	return Leaf{index, h}, err
}
