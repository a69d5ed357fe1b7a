package wiegand

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// row left-aligns the lowest count bits of v.
func row(t testing.TB, v uint64, count int) Bits {
	t.Helper()
	data := make([]byte, (count+7)/8)
	for i := range count {
		if v>>(count-1-i)&1 != 0 {
			data[i/8] |= 0x80 >> (i % 8)
		}
	}
	b, err := NewBits(data, count)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestKnownBadgesDecode(t *testing.T) {
	for _, tt := range []struct {
		sentence string
		format   Format
		bits     uint64
		count    int
		facility uint32
		number   uint64
	}{
		{"a 26-bit badge as a panel received it over OSDP", H10301, 0x02ACF140 >> 6, 26, 5, 23010},
		{"a 26-bit badge whose raw form is published as 2006EC0C86", H10301, 0x06EC0C86 & (1<<26 - 1), 26, 118, 1603},
		{"a 26-bit badge whose raw form is published as 2006F623AE", H10301, 0x06F623AE & (1<<26 - 1), 26, 123, 4567},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			c, err := Decode(tt.format, row(t, tt.bits, tt.count))
			if err != nil {
				t.Fatal(err)
			}
			if c.Facility != tt.facility || c.Number != tt.number {
				t.Errorf("decoded %d/%d, want %d/%d", c.Facility, c.Number, tt.facility, tt.number)
			}
		})
	}
}

// The parity of the 35-bit format is woven; here it is checked with the masks in which it is usually written.
func TestCorporate1000ParityAgreesWithTheMasks(t *testing.T) {
	for _, c := range []struct {
		company uint32
		number  uint64
	}{{0, 0}, {1, 1}, {0xFFF, 0xFFFFF}, {1234, 567890}, {2047, 3}, {2048, 1 << 19}} {
		b, err := Encode(Corporate1000, c.company, c.number)
		if err != nil {
			t.Fatal(err)
		}
		var v uint64
		for i := range b.Count {
			v <<= 1
			if b.Bit(i) {
				v |= 1
			}
		}
		odd := func(mask uint64) bool { return bits.OnesCount64(v&mask)%2 == 1 }
		if odd(1<<33|1<<32|0xB6DB6DB6) || !odd(3<<32|0x6DB6DB6C|1) || !odd(1<<35-1) {
			t.Errorf("company %d, card %d: parity of %035b is wrong", c.company, c.number, v)
		}
	}
}

func TestEveryFlippedBitIsRefused(t *testing.T) {
	for _, f := range Formats() {
		b, err := Encode(f, 0, 0x1234)
		if err != nil {
			t.Fatal(err)
		}
		for i := range b.Count {
			b.flip(i)
			_, err := Decode(f, b)
			// Bit 18 of the 37-bit formats is covered twice, and still breaks both halves.
			if !errors.Is(err, ErrParity) {
				t.Errorf("%s with bit %d flipped: error %v, want ErrParity", f, i, err)
			}
			b.flip(i)
		}
	}
}

func TestWrongLengthsAreRefused(t *testing.T) {
	if _, err := Decode(H10301, row(t, 0, 34)); !errors.Is(err, ErrLength) {
		t.Errorf("34 bits as a 26-bit badge: error %v, want ErrLength", err)
	}
	for name, try := range map[string]func() (Bits, error){
		"a byte too few":             func() (Bits, error) { return NewBits([]byte{1, 2, 3}, 26) },
		"a byte too many":            func() (Bits, error) { return NewBits(make([]byte, 5), 26) },
		"a set bit after the last":   func() (Bits, error) { return NewBits([]byte{0, 0, 0, 1}, 26) },
		"no bits":                    func() (Bits, error) { return NewBits(nil, 0) },
		"a facility that is too big": func() (Bits, error) { return Encode(H10301, 256, 1) },
		"a card that is too big":     func() (Bits, error) { return Encode(H10301, 1, 1<<16) },
		"a facility where none is":   func() (Bits, error) { return Encode(H10302, 1, 1) },
		"a format that is not there": func() (Bits, error) { return Encode("h10399", 1, 1) },
	} {
		if _, err := try(); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestACardDoesNotPrintItsNumber(t *testing.T) {
	b, err := Encode(H10301, 118, 1603)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Decode(H10301, b)
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(verb, c); strings.Contains(s, "1603") || strings.Contains(s, hex.EncodeToString(b.Data)) {
			t.Errorf("%s prints %s", verb, s)
		}
	}
}

// The law: what decodes encodes to the same bits.
func FuzzDecode(f *testing.F) {
	for i, format := range Formats() {
		b, err := Encode(format, 0, 4567)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), b.Data, b.Count)
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte, count int) {
		format := Formats()[int(which)%len(Formats())]
		if count > 8*len(data) || count < 0 {
			return
		}
		b, err := NewBits(data, count)
		if err != nil {
			return
		}
		c, err := Decode(format, b)
		if err != nil {
			return
		}
		got, err := Encode(format, c.Facility, c.Number)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Data, data) || got.Count != count {
			t.Fatal(cmp.Diff(b, got))
		}
	})
}
