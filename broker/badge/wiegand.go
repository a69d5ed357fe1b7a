package badge

import (
	"fmt"
	"math/bits"
)

// layout is where a Wiegand format has its numbers and parities. Bits count from 0, the first one sent.
//
// The readers' package decodes the same formats; broker and reader know nothing of each other, and a test in scripts/e2e holds them to the same bits.
type layout struct {
	bits             int
	facility, number field
	parity           []parity // in the order in which they are worked out
}

// field is length bits from first on.
type field struct{ first, length int }

func (f field) has() bool          { return f.length > 0 }
func (f field) most() uint64       { return 1<<f.length - 1 }
func (f field) fits(v uint64) bool { return v <= f.most() }

// parity is a bit that makes the ones among itself and the bits of mask even or odd.
type parity struct {
	at   int
	odd  bool
	over func(i int) bool
}

func span(first, last int) func(int) bool {
	return func(i int) bool { return i >= first && i <= last }
}

// twoOfThree covers the first two of each three bits.
func twoOfThree(first, last int) func(int) bool {
	return func(i int) bool { return i >= first && i <= last && (i-first)%3 != 2 }
}

// Formats are the formats that Parse knows beside uid and text.
func Formats() []string {
	return []string{"hex", "decimal", "h10301", "n10002", "c1000-35", "h10302", "h10304"}
}

func layoutOf(format string) (layout, bool) {
	switch format {
	case "h10301":
		return layout{26, field{1, 8}, field{9, 16}, []parity{{0, false, span(1, 12)}, {25, true, span(13, 24)}}}, true
	case "n10002":
		return layout{34, field{1, 16}, field{17, 16}, []parity{{0, false, span(1, 16)}, {33, true, span(17, 32)}}}, true
	case "c1000-35":
		return layout{35, field{2, 12}, field{14, 20}, []parity{{1, false, twoOfThree(2, 33)}, {34, true, twoOfThree(1, 32)}, {0, true, span(1, 34)}}}, true
	case "h10302":
		return layout{37, field{}, field{1, 35}, []parity{{0, false, span(1, 18)}, {36, true, span(18, 35)}}}, true
	case "h10304":
		return layout{37, field{1, 16}, field{17, 19}, []parity{{0, false, span(1, 18)}, {36, true, span(18, 35)}}}, true
	}
	return layout{}, false
}

func (l layout) spelling(format string) string {
	if l.facility.has() {
		return fmt.Sprintf("%s:FACILITY:CARD", format)
	}
	return fmt.Sprintf("%s:CARD", format)
}

// bytes is the row of bits with its parities, left-aligned in bytes.
func (l layout) bytes(facility, number uint64) []byte {
	row := l.place(l.facility, facility) | l.place(l.number, number)
	for _, p := range l.parity {
		var mask uint64
		for i := range l.bits {
			if p.over(i) && i != p.at {
				mask |= l.bit(i)
			}
		}
		if (bits.OnesCount64(row&mask)%2 == 1) != p.odd {
			row |= l.bit(p.at)
		}
	}
	n := (l.bits + 7) / 8
	row <<= 8*n - l.bits
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(row >> (8 * (n - 1 - i)))
	}
	return out
}

// bit is bit i of a row that is kept right-aligned.
func (l layout) bit(i int) uint64 { return 1 << (l.bits - 1 - i) }

func (l layout) place(f field, v uint64) uint64 {
	if !f.has() {
		return 0
	}
	return v << (l.bits - f.first - f.length)
}
