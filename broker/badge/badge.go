// Package badge reads badge numbers as people write them: on a command line, in a spreadsheet, on the back of a card.
//
// tapctl and the import of CSV files call it. What it gives is the number in the canonical form of BadgeProof, the same that a reader makes of the
// badge, so that a badge that was entered is the one that is tapped. A number is FORMAT:DIGITS:
//
//	uid:04A1B2C3D4E580      the chip's UID in hex, in the order in which the reader sends it; colons, dashes and blanks between bytes are passed
//	                        over; "uid:" may be left out
//	h10301:123:45678        Wiegand, 26 bits: facility and card number in decimal, as printed on the card
//	n10002:1234:45678       Wiegand, 34 bits: facility and card number
//	c1000-35:1234:456789    Wiegand, 35 bits: company and card number
//	h10302:1234567890       Wiegand, 37 bits without a facility: card number
//	h10304:1234:456789      Wiegand, 37 bits: facility and card number
//	text:ABC123             the line that a serial reader with the format text sends
//	hex:04A1B2C3            the same of the format hex, its default
//	decimal:0012345         the same of the format decimal; leading zeros do not count
//
// The package looks nothing up and keeps nothing. Its errors never show the number.
package badge

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	taplinev1 "tapline/proto/tapline/v1"
)

// Limits of a number.
const (
	minUID  = 4
	maxUID  = 32
	maxText = 256
)

// ErrForm is wrapped by every error of Parse.
var ErrForm = errors.New("not a badge number")

func bad(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrForm, fmt.Sprintf(format, args...))
}

// Parse reads a number. Technology and assurance are those that a reader gives such a badge.
func Parse(text string) (*taplinev1.BadgeProof, error) {
	text = strings.TrimSpace(text)
	format, digits, ok := strings.Cut(text, ":")
	format = strings.ToLower(strings.TrimSpace(format))
	switch {
	case ok && format == "text":
		return line(digits)
	case ok && format == "uid":
		return uid(digits)
	case ok && format == "hex":
		return hexLine(digits)
	case ok && format == "decimal":
		return decimalLine(digits)
	case !ok, len(format) == 2: // "04:A1:B2:C3"
		return uid(text)
	}
	l, known := layoutOf(format)
	if !known {
		return nil, bad("the format before the colon is none of uid, text, %s", strings.Join(Formats(), ", "))
	}
	return card(format, l, digits)
}

func line(text string) (*taplinev1.BadgeProof, error) {
	if text == "" || len(text) > maxText {
		return nil, bad("a text has 1 to %d bytes", maxText)
	}
	return proof("text", []byte(text), 8*len(text), "text", taplinev1.Assurance_ASSURANCE_UNSPECIFIED), nil
}

// hexLine is what a serial reader with the format hex, its default, makes of a line of hex digits.
func hexLine(digits string) (*taplinev1.BadgeProof, error) {
	raw, err := hex.DecodeString(strings.NewReplacer(":", "", " ", "", "-", "").Replace(digits))
	if err != nil || len(raw) == 0 || len(raw) > maxText {
		return nil, bad("hex is digits 0 to 9 and A to F, two a byte")
	}
	return proof("hex", raw, 8*len(raw), "text", taplinev1.Assurance_ASSURANCE_UNSPECIFIED), nil
}

// decimalLine is what a serial reader with the format decimal makes of a line of digits: leading zeros do not count.
func decimalLine(digits string) (*taplinev1.BadgeProof, error) {
	digits = strings.TrimSpace(digits)
	number := strings.TrimLeft(digits, "0")
	if strings.Trim(digits, "0123456789") != "" || number == "" || len(number) > maxText {
		return nil, bad("decimal is digits, not all of them zero")
	}
	return proof("decimal", []byte(number), 8*len(number), "text", taplinev1.Assurance_ASSURANCE_UNSPECIFIED), nil
}

func uid(digits string) (*taplinev1.BadgeProof, error) {
	raw, err := hex.DecodeString(strings.NewReplacer(":", "", " ", "", "-", "").Replace(digits))
	if err != nil || len(raw) == 0 {
		return nil, bad("a UID is hex digits, two a byte")
	}
	if len(raw) < minUID || len(raw) > maxUID {
		return nil, bad("a UID has %d to %d bytes", minUID, maxUID)
	}
	return proof("uid", raw, 8*len(raw), "iso14443a", taplinev1.Assurance_ASSURANCE_CHIP_UID), nil
}

func card(format string, l layout, digits string) (*taplinev1.BadgeProof, error) {
	facility, number, two := strings.Cut(digits, ":")
	if !two {
		facility, number = "", digits
	}
	if two != l.facility.has() {
		return nil, bad("%s is written %s", format, l.spelling(format))
	}
	var code uint64
	var err error
	if two {
		if code, err = strconv.ParseUint(strings.TrimSpace(facility), 10, 32); err != nil || !l.facility.fits(code) {
			return nil, bad("%s: the facility is 0 to %d in decimal", format, l.facility.most())
		}
	}
	n, err := strconv.ParseUint(strings.TrimSpace(number), 10, 64)
	if err != nil || !l.number.fits(n) {
		return nil, bad("%s: the card number is 0 to %d in decimal", format, l.number.most())
	}
	return proof(format, l.bytes(code, n), l.bits, "wiegand", taplinev1.Assurance_ASSURANCE_UNSPECIFIED), nil
}

// proof is a number as BadgeProof carries it: format, NUL, bit count, NUL, bytes.
func proof(format string, raw []byte, bits int, technology string, a taplinev1.Assurance) *taplinev1.BadgeProof {
	return &taplinev1.BadgeProof{Number: fmt.Appendf(nil, "%s\x00%d\x00%s", format, bits, raw), Technology: technology, Assurance: a}
}
