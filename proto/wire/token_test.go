package wire

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func sampleToken() Token {
	return Token{
		Secret: "s3cret-s3cret-s3cret", Station: "plant/press/line-4/hmi-1", Brokers: []string{"broker.example:8443"},
		Root: Pin{1, 2, 3}, Expires: time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC),
	}
}

func TestATokenComesBackWhole(t *testing.T) {
	want := sampleToken()
	got, err := ParseToken("  " + want.Encode() + "\n")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want.Encode(), got.Encode()); d != "" {
		t.Error(d)
	}
}

func TestATokenHidesItsSecret(t *testing.T) {
	tok := sampleToken()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		if got := fmt.Sprintf(verb, tok); strings.Contains(got, "s3cret") || strings.Contains(got, "733363726574") {
			t.Errorf("%s prints %q", verb, got)
		}
	}
}

func TestDamagedTokensAreRefusedWithoutBeingShown(t *testing.T) {
	whole := sampleToken().Encode()
	for name, text := range map[string]string{
		"empty":                 "",
		"another kind of word":  "hvs.CAESIJ",
		"cut off while pasting": whole[:len(whole)-7],
		"two tokens in one":     whole + whole,
		"far too long":          tokenPrefix + strings.Repeat("A", maxToken),
		"no broker in it":       Token{Secret: "x", Station: "s", Root: Pin{1}}.Encode(),
	} {
		_, err := ParseToken(text)
		if !errors.Is(err, ErrToken) {
			t.Errorf("%s: got %v, want ErrToken", name, err)
			continue
		}
		if len(text) > 20 && strings.Contains(err.Error(), text[5:20]) {
			t.Errorf("%s: the error shows the token: %v", name, err)
		}
	}
}

// What parses is a whole token and parses to the same token again.
func FuzzParseToken(f *testing.F) {
	f.Add(sampleToken().Encode())
	f.Add("tl1.e30")
	f.Fuzz(func(t *testing.T, text string) {
		tok, err := ParseToken(text)
		if err != nil {
			return
		}
		again, err := ParseToken(tok.Encode())
		if err != nil {
			t.Fatalf("%q parses, what it encodes to does not: %v", text, err)
		}
		if tok.Encode() != again.Encode() {
			t.Errorf("got %s, want %s", again.Encode(), tok.Encode())
		}
	})
}
