package wire

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func FuzzAnInvitationComesBackWholeOrIsRefused(f *testing.F) {
	whole := Invitation{
		Secret: "s3cret-s3cret-s3cret", Name: "olga", Brokers: []string{"broker.example:8443"}, Root: Pin{1, 2, 3},
		Expires: time.Date(2026, 11, 26, 6, 0, 0, 0, time.UTC),
	}
	for _, text := range []string{"", whole.Encode(), " " + whole.Encode() + "\n", whole.Encode()[:40], whole.Encode() + "AAAA", sampleToken().Encode(), "ti1.e30"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		i, err := ParseInvitation(text)
		if err != nil {
			if !errors.Is(err, ErrInvitation) || len(text) > 20 && strings.Contains(err.Error(), text[5:20]) {
				t.Fatalf("%v", err)
			}
			return
		}
		again, err := ParseInvitation(i.Encode())
		if err != nil || again.Encode() != i.Encode() {
			t.Fatalf("came back as %v, %v", again, err)
		}
		if len(i.Secret) > 8 && strings.Contains(fmt.Sprintf("%#v %x", i, i), i.Secret) {
			t.Fatal("the secret is printed")
		}
	})
}
