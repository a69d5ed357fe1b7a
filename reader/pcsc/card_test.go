package pcsc

import (
	"encoding/hex"
	"errors"
	"testing"

	"tapline/reader"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	classicATR  = "3B8F8001804F0CA000000306030001000000006A"
	desfireATR  = "3B8180018080"
	iso15693ATR = "3B8F8001804F0CA0000003060B00140000000077"
	feliCaATR   = "3B8F8001804F0CA00000030611003B0000000042"
	contactATR  = "3B6500002063CB6800"
)

func TestAnswersOfCardsAreJudged(t *testing.T) {
	for _, tt := range []struct {
		sentence string
		atr      string
		answer   string
		want     reader.Reason // empty: a badge
		tech     reader.Technology
		again    bool
	}{
		{"seven bytes are a badge", desfireATR, "04A1B2C3D4E5F69000", "", reader.ISO14443A, false},
		{"four bytes are a badge", classicATR, "12A1B2C39000", "", reader.ISO14443A, false},
		{"a tag of ISO 15693", iso15693ATR, "E0040150A1B2C3D49000", "", reader.ISO15693, false},
		{"a FeliCa card", feliCaATR, "01010A10A1B2C3D49000", "", reader.FeliCa, false},
		{"eight bytes that begin with 08 are a number", iso15693ATR, "08040150A1B2C3D49000", "", reader.ISO15693, false},
		{"four bytes that begin with 08 are made up", desfireATR, "08A1B2C39000", reader.RandomNumber, "", false},
		{"a contact card does not know the command", contactATR, "6D00", reader.NoNumber, "", false},
		{"a contact card does not know the class", contactATR, "6E00", reader.NoNumber, "", false},
		{"a contact card that fails at it has no number either", contactATR, "6F00", reader.NoNumber, "", false},
		{"the reader says that it is not supported", desfireATR, "6A81", reader.NoNumber, "", false},
		{"an empty number is none", desfireATR, "9000", reader.NoNumber, "", false},
		{"a number of zeros is none", desfireATR, "000000009000", reader.NoNumber, "", false},
		{"a number that is too short is none", desfireATR, "0A0B0C9000", reader.NoNumber, "", false},
		{"a card at the edge of the field is tried again", desfireATR, "6300", reader.ReaderFault, "", true},
		{"an answer without a status is the reader's fault", desfireATR, "90", reader.ReaderFault, "", true},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			out, err := readUID(func([]byte) ([]byte, error) { return unhex(t, tt.answer), nil }, unhex(t, tt.atr))
			if err != nil {
				t.Fatal(err)
			}
			if out.reason != tt.want || out.badge.Technology != tt.tech || out.again != tt.again {
				t.Errorf("got reason %q, technology %q, again %t; want %q, %q, %t",
					out.reason, out.badge.Technology, out.again, tt.want, tt.tech, tt.again)
			}
			if out.badge.Number.IsZero() != (tt.want != "") {
				t.Errorf("number is there: %t", !out.badge.Number.IsZero())
			}
		})
	}
}

func TestACardThatWantsAnotherLengthGetsIt(t *testing.T) {
	out, err := readUID(func(command []byte) ([]byte, error) {
		if command[4] != 7 {
			return []byte{0x6C, 7}, nil
		}
		return unhex(t, "04A1B2C3D4E5F69000"), nil
	}, unhex(t, desfireATR))
	if err != nil {
		t.Fatal(err)
	}
	if want := reader.NewNumber("uid", unhex(t, "04A1B2C3D4E5F6"), 0); !out.badge.Number.Equal(want) {
		t.Error("another number was read")
	}
}

func TestAFailedExchangeIsTheServicesFault(t *testing.T) {
	broken := errors.New("broken")
	if _, err := readUID(func([]byte) ([]byte, error) { return nil, broken }, nil); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
}
