// Package wiegand decodes the numbers that access control readers send as a row of bits: facility, card number and parity.
//
// It is pure: bits in, number out, or an error that says which rule they break. A reader that hands over raw bits (OSDP, some serial
// readers) is decoded with the format that the site's configuration names: the count of bits never tells the format, as H10301 and
// Indala's 26 bits or H10302 and H10304 show. It reads no port and guesses nothing. Errors never hold the bits: they are a badge number.
package wiegand

import (
	"errors"
	"fmt"

	"tapline/reader"
)

// ErrLength and ErrParity are wrapped by what Decode returns for bits that are not a badge of the format.
var (
	ErrLength = errors.New("wrong number of bits")
	ErrParity = errors.New("wrong parity")
)

// Card is a decoded number.
type Card struct {
	Format   Format
	Facility uint32 // facility or company code; 0 in formats that have none
	Number   uint64 // card number
	Bits     Bits   // as received, with parity
}

// Bits is a row of bits, the first received first, left-aligned in bytes; bits after Count are zero.
type Bits struct {
	Data  []byte
	Count int
}

// Bit is bit i, counted from the first received.
func (b Bits) Bit(i int) bool { return b.Data[i/8]&(0x80>>(i%8)) != 0 }

// NewBits checks that data holds exactly count bits and no more.
func NewBits(data []byte, count int) (Bits, error) {
	b := Bits{Data: data, Count: count}
	if count <= 0 || len(data) != (count+7)/8 {
		return Bits{}, fmt.Errorf("%w: %d bits in %d bytes", ErrLength, count, len(data))
	}
	for i := count; i < 8*len(data); i++ {
		if b.Bit(i) {
			return Bits{}, fmt.Errorf("%w: bits are set after the last one", ErrLength)
		}
	}
	return b, nil
}

// Decode reads bits as a badge of format f and checks every parity bit.
func Decode(f Format, b Bits) (Card, error) {
	l, err := f.layout()
	if err != nil {
		return Card{}, err
	}
	if b.Count != l.bits || len(b.Data) != (b.Count+7)/8 {
		return Card{}, fmt.Errorf("%w: format %s has %d, got %d", ErrLength, f, l.bits, b.Count)
	}
	for _, p := range l.parity {
		if !p.holds(b) {
			return Card{}, fmt.Errorf("%w: bit %d of format %s", ErrParity, p.at, f)
		}
	}
	return Card{Format: f, Facility: uint32(l.facility.value(b)), Number: l.number.value(b), Bits: b}, nil
}

// Encode makes the bits of a badge, parity included: the reverse of Decode, for tests and for entering badges by their printed number.
func Encode(f Format, facility uint32, number uint64) (Bits, error) {
	l, err := f.layout()
	if err != nil {
		return Bits{}, err
	}
	b := Bits{Data: make([]byte, (l.bits+7)/8), Count: l.bits}
	if !l.facility.set(b, uint64(facility)) || !l.number.set(b, number) {
		return Bits{}, fmt.Errorf("format %s: facility or card number has too many bits", f)
	}
	for _, p := range l.parity {
		if !p.holds(b) {
			b.flip(p.at)
		}
	}
	return b, nil
}

func (b Bits) flip(i int) { b.Data[i/8] ^= 0x80 >> (i % 8) }

// Badge is the card as a reader reports it: a bare number that anybody can copy.
func (c Card) Badge() reader.Badge {
	return reader.Badge{
		Number:     reader.NewNumber(string(c.Format), c.Bits.Data, c.Bits.Count),
		Technology: reader.Wiegand,
		Assurance:  reader.BareNumber,
	}
}

// String hides the number.
func (c Card) String() string { return "[" + string(c.Format) + " card]" }

// GoString hides the number.
func (c Card) GoString() string { return c.String() }
