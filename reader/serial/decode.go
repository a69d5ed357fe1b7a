package serial

import (
	"encoding/hex"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"tapline/reader"
)

func (f Format) known() bool { return f == Hex || f == Decimal || f == Text }

// decoder reads a badge out of a frame. It is pure.
type decoder struct {
	format  Format
	pattern *regexp.Regexp // nil: the whole frame
}

// badge returns the badge in a frame, or false if there is none.
func (d decoder) badge(fr frame) (reader.Badge, bool) {
	// Readers wrap the number in control bytes (STX, padding NULs) that no pattern should have to name.
	text := strings.TrimFunc(fr.text, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) })
	if d.pattern != nil {
		m := d.pattern.FindStringSubmatch(text)
		if m == nil {
			return reader.Badge{}, false
		}
		text = m[1]
	}
	number, ok := d.number(text)
	if fr.overlong || !ok {
		return reader.Badge{}, false
	}
	return reader.Badge{Number: number, Technology: reader.Text, Assurance: reader.BareNumber}, true
}

// number gives the one form of a number that all ways of writing it share.
func (d decoder) number(text string) (reader.Number, bool) {
	switch d.format {
	case Hex:
		raw, err := hex.DecodeString(strings.NewReplacer(":", "", "-", "", " ", "").Replace(text))
		return reader.NewNumber(string(Hex), raw, 0), err == nil && len(raw) > 0
	case Decimal:
		if strings.Trim(text, "0123456789") != "" {
			return reader.Number{}, false
		}
		digits := strings.TrimLeft(text, "0")
		return reader.NewNumber(string(Decimal), []byte(digits), 0), digits != "" // all zeros is no badge
	case Text:
		return reader.NewNumber(string(Text), []byte(text), 0), text != "" && printable(text)
	}
	return reader.Number{}, false
}

func printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}
