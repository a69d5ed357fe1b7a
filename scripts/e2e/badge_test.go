package e2e

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"tapline/broker/badge"
	"tapline/reader"
	"tapline/reader/serial"
	"tapline/reader/wiegand"
)

// Broker and readers know nothing of each other, so only here can it be seen that a badge that was typed in is the badge that is tapped.
func TestABadgeThatIsTypedInIsTheOneThatAReaderSees(t *testing.T) {
	formats := []string{string(serial.Hex), string(serial.Decimal)}
	for _, f := range wiegand.Formats() {
		formats = append(formats, string(f))
		for _, facility := range []uint32{0, 1, 123, 254} {
			for _, number := range []uint64{0, 1, 4567, 40_001, 65_535} {
				spelt := fmt.Sprintf("%s:%d:%d", f, facility, number)
				if f == wiegand.H10302 {
					facility, spelt = 0, fmt.Sprintf("%s:%d", f, number)
				}
				bits, err := wiegand.Encode(f, facility, number)
				if err != nil {
					t.Fatal(err)
				}
				card, err := wiegand.Decode(f, bits)
				if err != nil {
					t.Fatal(err)
				}
				same(t, spelt, card.Badge())
			}
		}
	}
	if !slices.Equal(formats, badge.Formats()) {
		t.Errorf("readers know %v, the broker %v", formats, badge.Formats())
	}
	same(t, "04:A1:B2:C3", reader.Badge{Number: reader.NewNumber("uid", []byte{4, 0xa1, 0xb2, 0xc3}, 0), Technology: reader.ISO14443A, Assurance: reader.ChipUID})
	same(t, "hex:04A1B2", reader.Badge{Number: reader.NewNumber(string(serial.Hex), []byte{4, 0xa1, 0xb2}, 0), Technology: reader.Text})
	same(t, "decimal:0012345", reader.Badge{Number: reader.NewNumber(string(serial.Decimal), []byte("12345"), 0), Technology: reader.Text})
	same(t, "text:ABC 12", reader.Badge{Number: reader.NewNumber("text", []byte("ABC 12"), 0), Technology: reader.Text})
}

func same(t *testing.T, spelt string, tapped reader.Badge) {
	t.Helper()
	typed, err := badge.Parse(spelt)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(typed.GetNumber(), tapped.Number.Canonical()) || typed.GetTechnology() != string(tapped.Technology) || uint8(typed.GetAssurance()) != uint8(tapped.Assurance) {
		t.Errorf("%s is read otherwise than it is typed", spelt)
	}
}
