package audit

import "math/bits"

// indexes is a set of leaves: a bitmap in pieces, of which only those are there that have a leaf. A million records that lie close take 125 kB.
type indexes struct {
	pieces map[uint64]*[pieceWords]uint64
	end    uint64 // behind the greatest
}

const (
	pieceWords = 1024
	pieceBits  = 64 * pieceWords
)

func (s *indexes) add(i uint64) {
	if s.pieces == nil {
		s.pieces = map[uint64]*[pieceWords]uint64{}
	}
	p := s.pieces[i/pieceBits]
	if p == nil {
		p = new([pieceWords]uint64)
		s.pieces[i/pieceBits] = p
	}
	p[i%pieceBits/64] |= 1 << (i % 64)
	s.end = max(s.end, i+1)
}

// next is the first one from an index on; ok is false if there is none.
func (s *indexes) next(from uint64) (index uint64, ok bool) {
	for from < s.end {
		p := s.pieces[from/pieceBits]
		if p == nil {
			from = (from/pieceBits + 1) * pieceBits
			continue
		}
		word := from % pieceBits / 64
		if w := p[word] >> (from % 64); w != 0 {
			return from + uint64(bits.TrailingZeros64(w)), true
		}
		from = (from/64 + 1) * 64
	}
	return 0, false
}
