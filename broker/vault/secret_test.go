package vault_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tapline/broker/vault"
)

func TestASecretIsShownNowhere(t *testing.T) {
	s := vault.Secret("canary-4711")
	j, err := json.Marshal(map[string]any{"s": s, "p": &s})
	if err != nil {
		t.Fatal(err)
	}
	shown := []string{string(j), fmt.Sprint(s), fmt.Sprint(&s), fmt.Errorf("x: %v", s).Error()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "% x"} {
		shown = append(shown, fmt.Sprintf(verb, s), fmt.Sprintf(verb, struct{ S vault.Secret }{s}))
	}
	for _, text := range shown {
		if strings.Contains(text, "canary") || strings.Contains(text, "63616e") || strings.Contains(text, "99 97") || strings.Contains(text, "Y2FuYX") {
			t.Errorf("shown: %s", text)
		}
	}
	s.Wipe()
	if string(s) != strings.Repeat("\x00", len(s)) {
		t.Error("it is still there after it was wiped")
	}
}

// What is sealed opens under its own name and no other, and no changed byte opens.
func TestSealAndOpenKeepTheirLaw(t *testing.T) {
	v, err := vault.New(make([]byte, vault.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		name, other := rapid.String().Draw(t, "name"), rapid.String().Draw(t, "other")
		secret := rapid.SliceOf(rapid.Byte()).Draw(t, "secret")
		sealed := v.Seal(name, secret)
		if got, err := v.Open(name, sealed); err != nil || string(got) != string(secret) {
			t.Fatalf("came back as %x, %v", got, err)
		}
		if _, err := v.Open(other, sealed); err == nil && other != name {
			t.Fatalf("opened under another name")
		}
		at := rapid.IntRange(0, len(sealed)-1).Draw(t, "at")
		sealed[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "flip"))
		if _, err := v.Open(name, sealed); err == nil {
			t.Fatalf("opened with byte %d changed", at)
		}
	})
}
