package apdu

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCommandsEncodeAsTheStandardSays(t *testing.T) {
	for _, tt := range []struct {
		sentence string
		command  Command
		want     string
	}{
		{"asking for the number of a card", GetUID(), "ffca000000"},
		{"a header alone", Command{CLA: 0x00, INS: 0x70, P1: 0x80, P2: 0x01}, "00708001"},
		{"asking for one byte", Command{INS: 0xB0, Le: 1}, "00b0000001"},
		{"data and no answer", Command{INS: 0x20, P2: 0x80, Data: []byte{1, 2}}, "00200080020102"},
		{"data and an answer of any length", Command{INS: 0xA4, P1: 4, Data: []byte{0xA0}, Le: MaxLe}, "00a4040001a000"},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			got, err := tt.command.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, hex.EncodeToString(got)); diff != "" {
				t.Errorf("encoded (-want +got):\n%s", diff)
			}
			back, err := ParseCommand(got)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.command, back); diff != "" {
				t.Errorf("parsed back (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatDoesNotFitAShortCommandIsRefused(t *testing.T) {
	for name, c := range map[string]Command{
		"256 bytes of data": {Data: make([]byte, 256)},
		"an Le of 257":      {Le: 257},
		"a negative Le":     {Le: -1},
	} {
		if _, err := c.Bytes(); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: error %v, want ErrMalformed", name, err)
		}
	}
	for name, b := range map[string]string{
		"nothing":                    "",
		"three bytes":                "00a404",
		"data shorter than Lc":       "00a4040005a000",
		"a byte too much":            "00a4040001a00000",
		"an extended length command": "00b00000000100",
	} {
		if _, err := ParseCommand(unhex(t, b)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: error %v, want ErrMalformed", name, err)
		}
	}
	if _, err := ParseResponse([]byte{0x90}); !errors.Is(err, ErrMalformed) {
		t.Errorf("a response of one byte: error %v, want ErrMalformed", err)
	}
}

func TestStatusWordsHaveNames(t *testing.T) {
	for s, want := range map[Status]string{
		OK:             "9000 ok",
		UnknownCommand: "6d00 unknown command",
		0x6C07:         "6c07 wrong expected length",
		0x63C2:         "63c2 warning",
		0x1234:         "1234 unnamed status",
	} {
		if got := s.String(); got != want {
			t.Errorf("status is called %q, want %q", got, want)
		}
	}
}

func TestACardMayNameTheLengthItWants(t *testing.T) {
	if n, ok := Status(0x6C07).RetryLe(); n != 7 || !ok {
		t.Errorf("6C07 asks for %d, %t; want 7, true", n, ok)
	}
	if _, ok := OK.RetryLe(); ok {
		t.Error("9000 asks for another length")
	}
}

// The law: what parses encodes to the same bytes.
func FuzzCommand(f *testing.F) {
	for _, s := range []string{"ffca000000", "00708001", "00200080020102", "00a4040001a000", "00b00000000100", "00"} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseCommand(b)
		if err != nil {
			return
		}
		got, err := c.Bytes()
		if err != nil {
			t.Fatalf("parsed %x but does not encode: %v", b, err)
		}
		if !bytes.Equal(got, b) {
			t.Fatalf("parsed %x, encoded %x", b, got)
		}
	})
}

// The law: what parses encodes to the same bytes.
func FuzzResponse(f *testing.F) {
	for _, s := range []string{"9000", "04a1b2c39000", "6d00", "90", ""} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseResponse(b)
		if err != nil {
			return
		}
		if got := r.Bytes(); !bytes.Equal(got, b) {
			t.Fatalf("parsed %x, encoded %x", b, got)
		}
	})
}
