package pin_test

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"

	"tapline/proto/pin"
)

func TestAVerifierKnowsItsPINAndTellsNothingOfIt(t *testing.T) {
	c := pin.NewChecker(2)
	verifier, err := c.Make(t.Context(), "4711")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(verifier, "$argon2id$v=19$m=19456,t=2,p=1$") || strings.Contains(verifier, "4711") {
		t.Errorf("the verifier is %s", verifier)
	}
	for given, want := range map[string]bool{"4711": true, "4712": false, "04711": false, "47110": false, "": false, "471a": false} {
		if got, err := c.Check(t.Context(), verifier, given); got != want || err != nil {
			t.Errorf("%q: %v, %v, want %v", given, got, err, want)
		}
	}
	again, err := c.Make(t.Context(), "4711")
	if err != nil || again == verifier {
		t.Errorf("two people with one PIN have one verifier, %v", err)
	}
}

func TestFormsOfPINs(t *testing.T) {
	for given, want := range map[string]bool{
		"0000": true, "123456789012": true, "": false, "123": false, "1234567890123": false, "12 34": false, "-1234": false, "١٢٣٤": false, "1234\n": false,
	} {
		if pin.Valid(given) != want {
			t.Errorf("%q: %v, want %v", given, !want, want)
		}
		if !want {
			_, err := pin.NewChecker(1).Make(t.Context(), given)
			if !errors.Is(err, pin.ErrForm) || given != "" && strings.Contains(err.Error(), given) {
				t.Errorf("make of %q: %v", given, err)
			}
		}
	}
}

func TestWhatIsNoVerifierIsAnError(t *testing.T) {
	const salt, key = "AAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	for says, verifier := range map[string]string{
		"empty": "", "another function": "$argon2i$v=19$m=19456,t=2,p=1$" + salt + "$" + key, "another version": "$argon2id$v=16$m=8,t=1,p=1$" + salt + "$" + key,
		"more memory than there is": "$argon2id$v=19$m=4294967295,t=1,p=1$" + salt + "$" + key, "below zero": "$argon2id$v=19$m=-8,t=1,p=1$" + salt + "$" + key,
		"no passes": "$argon2id$v=19$m=8,t=0,p=1$" + salt + "$" + key, "no key": "$argon2id$v=19$m=8,t=1,p=1$" + salt + "$",
		"not base64": "$argon2id$v=19$m=8,t=1,p=1$!$" + key, "a piece too many": "$argon2id$v=19$m=8,t=1,p=1$" + salt + "$" + key + "$",
		"a tail": "$argon2id$v=19$m=8,t=1,p=1,x=2$" + salt + "$" + key,
	} {
		if good, err := pin.NewChecker(1).Check(t.Context(), verifier, "4711"); good || !errors.Is(err, pin.ErrVerifier) {
			t.Errorf("%s: %v, %v, want ErrVerifier", says, good, err)
		}
	}
}

func TestWhoWaitsForAFreePlaceCanGiveUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := pin.NewChecker(0).Make(ctx, "4711"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// FuzzCheck holds that no verifier makes Check panic, nor takes a PIN that it was not made of. Costs are kept small.
func FuzzCheck(f *testing.F) {
	f.Add("$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "4711")
	c, costly := pin.NewChecker(1), regexp.MustCompile(`m=\+?\d{4}|t=\+?\d\d`)
	f.Fuzz(func(t *testing.T, verifier, given string) {
		if costly.MatchString(verifier) {
			return
		}
		if good, _ := c.Check(t.Context(), verifier, given); good {
			t.Errorf("%q took %q", verifier, given)
		}
	})
}
