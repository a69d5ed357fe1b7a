package wiegand

import "fmt"

// Format names how the bits are laid out.
type Format string

// The formats that are known. All but Corporate1000 are public.
const (
	H10301        Format = "h10301"   // 26 bits: 8 facility, 16 card
	N10002        Format = "n10002"   // 34 bits: 16 facility, 16 card
	Corporate1000 Format = "c1000-35" // 35 bits: 12 company, 20 card
	H10302        Format = "h10302"   // 37 bits: 35 card
	H10304        Format = "h10304"   // 37 bits: 16 facility, 19 card
)

// Formats lists the formats that Decode knows.
func Formats() []Format { return []Format{H10301, N10002, Corporate1000, H10302, H10304} }

// layout says where things are in a format. Positions count from 0, the first bit received.
type layout struct {
	bits     int
	facility field
	number   field
	parity   []parity // in the order in which they are computed: a later one may cover an earlier
}

// field is the bits first to last, the highest first; last below first is no field.
type field struct{ first, last int }

// parity is a bit that makes the count of ones among itself and the covered bits even or odd.
type parity struct {
	at      int
	odd     bool
	covered func(i int) bool
}

func between(first, last int) func(int) bool {
	return func(i int) bool { return first <= i && i <= last }
}

// triplet covers two bits of three: from first on, bits at offset 0 and 1 of each three, up to last.
func triplet(first, last int) func(int) bool {
	return func(i int) bool { return first <= i && i <= last && (i-first)%3 < 2 }
}

func (f Format) layout() (layout, error) {
	none := field{0, -1}
	switch f {
	case H10301:
		return layout{26, field{1, 8}, field{9, 24}, []parity{{0, false, between(1, 12)}, {25, true, between(13, 24)}}}, nil
	case N10002:
		return layout{34, field{1, 16}, field{17, 32}, []parity{{0, false, between(1, 16)}, {33, true, between(17, 32)}}}, nil
	case Corporate1000:
		return layout{35, field{2, 13}, field{14, 33}, []parity{
			{1, false, triplet(2, 33)}, {34, true, triplet(1, 32)}, {0, true, between(1, 34)},
		}}, nil
	case H10302:
		return layout{37, none, field{1, 35}, []parity{{0, false, between(1, 18)}, {36, true, between(18, 35)}}}, nil
	case H10304:
		return layout{37, field{1, 16}, field{17, 35}, []parity{{0, false, between(1, 18)}, {36, true, between(18, 35)}}}, nil
	}
	return layout{}, fmt.Errorf("there is no Wiegand format %q", string(f))
}

func (p parity) holds(b Bits) bool {
	ones := b.Bit(p.at)
	for i := range b.Count {
		if i != p.at && p.covered(i) && b.Bit(i) {
			ones = !ones
		}
	}
	return ones == p.odd
}

func (f field) value(b Bits) uint64 {
	var v uint64
	for i := f.first; i <= f.last; i++ {
		v <<= 1
		if b.Bit(i) {
			v |= 1
		}
	}
	return v
}

// set writes v and reports whether it fits.
func (f field) set(b Bits, v uint64) bool {
	for i := f.last; i >= f.first; i-- {
		if v&1 != 0 {
			b.flip(i)
		}
		v >>= 1
	}
	return v == 0
}
