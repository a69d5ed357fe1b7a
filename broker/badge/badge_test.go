package badge_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"tapline/broker/badge"
	"tapline/broker/directory"
	"tapline/broker/vault"
)

func TestNumbersAsPeopleWriteThem(t *testing.T) {
	uid := "uid\x0032\x00\x04\xa1\xb2\xc3"
	for text, want := range map[string]string{
		"04A1B2C3": uid, "uid:04a1b2c3": uid, "04:A1:B2:C3": uid, "04-a1-b2-c3": uid, " UID: 04 A1 B2 C3 ": uid,
		"04A1B2C3D4E580":    "uid\x0056\x00\x04\xa1\xb2\xc3\xd4\xe5\x80",
		"text:ABC 12":       "text\x0048\x00ABC 12",
		"hex:04:a1:b2:c3":   "hex\x0032\x00\x04\xa1\xb2\xc3",
		"decimal:0012345":   "decimal\x0040\x0012345",
		"h10301:123:4567":   "h10301\x0026\x00\xbd\x88\xeb\x80",
		"H10301: 123: 4567": "h10301\x0026\x00\xbd\x88\xeb\x80",
		"h10302:1":          "h10302\x0037\x00\x00\x00\x00\x00\x10",
	} {
		p, err := badge.Parse(text)
		if err != nil || string(p.GetNumber()) != want {
			t.Errorf("%s: got %q, %v", text, p.GetNumber(), err)
		}
	}
}

func TestNumbersThatAreNone(t *testing.T) {
	for text, says := range map[string]string{
		"": "hex digits", "04A1B": "hex digits", "04A1B2": "4 to 32 bytes", strings.Repeat("00", 33): "4 to 32 bytes", "uid:": "hex digits", "hello": "hex digits",
		"text:": "1 to 256", "h10301:123": "FACILITY:CARD", "h10301:256:1": "0 to 255", "h10301:1:65536": "0 to 65535", "h10302:1:2": "h10302:CARD",
		"h10301:-1:2": "facility", "h10301:1:2:3": "card number", "em4100:123": "none of uid, text, hex, decimal, h10301", "123:45678": "none of",
		"hex:0": "two a byte", "hex:": "two a byte", "decimal:000": "not all of them zero", "decimal:12a": "decimal is digits", "decimal:": "not all",
	} {
		_, err := badge.Parse(text)
		if !errors.Is(err, badge.ErrForm) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: got %v, want %q", text, err, says)
		}
	}
}

// The law: what is parsed is a number that the directory takes, and no error shows what was written.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"04A1B2C3", "h10301:123:4567", "c1000-35:4095:1048575", "text:\x00", "h10304:65535:524287", "::::", "uid:zz"} {
		f.Add(s)
	}
	v, err := vault.New(make([]byte, vault.KeySize))
	if err != nil {
		f.Fatal(err)
	}
	d := directory.Directory{Vault: v}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := badge.Parse(text)
		if err != nil {
			digits := strings.TrimSpace(text)
			if _, after, named := strings.Cut(digits, ":"); named { // the format's name may be told
				digits = after
			}
			if len(digits) > 8 && strings.Contains(err.Error(), digits) {
				t.Errorf("the error shows the number: %v", err)
			}
			return
		}
		if _, err := d.ReadProof("badge", p); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		again, err := badge.Parse(fmt.Sprintf(" %s ", text))
		if err == nil && !strings.HasPrefix(strings.ToLower(strings.TrimSpace(text)), "text") && string(again.GetNumber()) != string(p.GetNumber()) {
			t.Errorf("%q: blanks around it make another number", text)
		}
	})
}
