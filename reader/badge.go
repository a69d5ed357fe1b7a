package reader

import (
	"crypto/subtle"
	"fmt"
	"log/slog"
)

// Technology names how a badge was read.
type Technology string

// The technologies that sources report.
const (
	ISO14443A Technology = "iso14443a" // contactless, 13.56 MHz, seen through PC/SC
	ISO14443B Technology = "iso14443b"
	ISO15693  Technology = "iso15693"
	FeliCa    Technology = "felica"
	Contact   Technology = "iso7816" // contact chip card
	Prox      Technology = "prox"    // 125 kHz, number only
	Wiegand   Technology = "wiegand" // a number with parity, technology unknown
	Text      Technology = "text"    // a line of text from a wedge or serial reader
)

// Assurance ranks how hard a badge is to copy: 0 bare number, 1 chip UID, 2 the reader vouches, 3 symmetric proof, 4 public-key proof.
type Assurance uint8

// The assurance ladder.
const (
	BareNumber Assurance = iota
	ChipUID
	ReaderVouches
	SymmetricProof
	PublicKeyProof
)

// Badge is what a reader learnt of the thing a person presented.
type Badge struct {
	Number     Number
	Technology Technology
	Assurance  Assurance
	// ATR is the Answer To Reset (ISO 7816-3) of a PC/SC card; nil elsewhere. It names a card type, not a person.
	ATR []byte
}

// Number is a badge number: its bits, left-aligned in bytes, and the name of the format that they are in. It is personal data
// and a credential at once, so it hides from fmt, slog and the encoders; only Canonical gives the bytes.
type Number struct {
	format string
	bits   int
	raw    string
}

// NewNumber makes a number of the given format (lower case, such as "uid", "h10301", "text") from its first bits bits.
// A bits of 0 means all of raw.
func NewNumber(format string, raw []byte, bits int) Number {
	if bits == 0 {
		bits = 8 * len(raw)
	}
	return Number{format: format, bits: bits, raw: string(raw)}
}

// IsZero reports whether there is no number.
func (n Number) IsZero() bool { return n.raw == "" }

// Encoding is the name of the number's format, such as "uid" or "h10301".
func (n Number) Encoding() string { return n.format }

// Canonical is the one byte form of a number that keyed hashes are taken over: format, NUL, bit count in decimal, NUL, bytes.
// It is secret: never log or store it.
func (n Number) Canonical() []byte {
	return fmt.Appendf(nil, "%s\x00%d\x00%s", n.format, n.bits, n.raw)
}

// Equal reports whether two numbers are the same, in constant time for numbers of equal length.
func (n Number) Equal(o Number) bool {
	return subtle.ConstantTimeCompare(n.Canonical(), o.Canonical()) == 1
}

const hidden = "[badge number]"

// String hides the number.
func (n Number) String() string { return hidden }

// Format hides the number from every verb of fmt, also %#v and %x.
func (n Number) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// MarshalText hides the number from encoders.
func (n Number) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue hides the number from slog.
func (n Number) LogValue() slog.Value { return slog.StringValue(hidden) }
