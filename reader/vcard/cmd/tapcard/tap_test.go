package main

import (
	"strings"
	"testing"
)

func TestWrongUseIsRefusedWithAHint(t *testing.T) {
	for sentence, args := range map[string][]string{
		"no number":            {},
		"half a byte":          {"--uid", "04A"},
		"a length no card has": {"--uid", "04A1B2"},
		"a kind no card is":    {"--uid", "04A1B2C3", "--kind", "banana"},
		"no reader there":      {"--uid", "04A1B2C3", "--port", "1"},
	} {
		t.Run(sentence, func(t *testing.T) {
			cmd := command()
			cmd.SetArgs(args)
			err := cmd.ExecuteContext(t.Context())
			if err == nil || !strings.Contains(err.Error(), "hint:") {
				t.Errorf("error %v, want one with a hint", err)
			}
		})
	}
}

func TestNumbersMayBeWrittenWithColons(t *testing.T) {
	card, err := options{uid: "04:A1:B2:C3", kind: "classic"}.card()
	if err != nil {
		t.Fatal(err)
	}
	if string(card.UID) != "\x04\xa1\xb2\xc3" {
		t.Errorf("the number is %x", card.UID)
	}
}
