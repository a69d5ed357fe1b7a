package wire

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestEveryKindSurvivesTheWire(t *testing.T) {
	for k := None + 1; k <= Internal; k++ {
		sent := E(k, "station %q", "press-4")
		got := KindOf(Status(fmt.Errorf("open session: %w", sent)))
		if got != k {
			t.Errorf("kind %s came back as %s", k, got)
		}
	}
}

func TestNoTwoKindsShareACode(t *testing.T) {
	seen := map[codes.Code]Kind{}
	for k, c := range kindCodes() {
		if other, twice := seen[c]; twice {
			t.Errorf("kinds %d and %d both have code %s", k, other, c)
		}
		seen[c] = k
	}
}

func TestKindOfErrorsThatAreNotOurs(t *testing.T) {
	for name, row := range map[string]struct {
		err  error
		want Kind
	}{
		"no error":                       {nil, None},
		"a deadline of the context":      {fmt.Errorf("call: %w", context.DeadlineExceeded), Deadline},
		"a context that was given up":    {context.Canceled, Cancelled},
		"a status from the other side":   {status.Error(codes.Unavailable, "away"), Unavailable},
		"a code that we never send":      {status.Error(codes.OutOfRange, "?"), Internal},
		"an error that nobody gave kind": {errors.New("disk on fire"), Internal},
	} {
		if got := KindOf(row.err); got != row.want {
			t.Errorf("%s: got %s, want %s", name, got, row.want)
		}
	}
}

func TestAnErrorWithoutKindDoesNotTellItsInside(t *testing.T) {
	got := Status(errors.New("open /var/lib/secret: no such file")).Error()
	if strings.Contains(got, "secret") {
		t.Errorf("status %q shows the inside", got)
	}
}

func TestTheTimeToComeBackCrossesTheWire(t *testing.T) {
	for _, want := range []time.Duration{0, time.Second, 90 * time.Second} {
		err := BusyFor(want, "too much")
		if got := RetryAfter(Status(err)); got != want || RetryAfter(fmt.Errorf("upload: %w", err)) != want {
			t.Errorf("%s came as %s", want, got)
		}
	}
	if got := RetryAfter(Status(BusyFor(1000*time.Hour, "too much"))); got > time.Hour {
		t.Errorf("a broker can make us wait %s", got)
	}
	if RetryAfter(nil) != 0 || RetryAfter(errors.New("other")) != 0 {
		t.Error("a time was made up")
	}
}

func TestWhatAnErrorQuotesIsFitForATerminal(t *testing.T) {
	err := fmt.Errorf("person %s: %w", "\x1b[31m\u202eanna\x00\xff"+strings.Repeat("ä", 100_000), E(NotFound, "not\nfound"))
	got := status.Convert(Status(err)).Message()
	if len(got) > 2048 || strings.ContainsAny(got, "\x1b\u202e\x00") || !strings.HasPrefix(got, "person \ufffd[31m\ufffdanna\ufffd") {
		t.Errorf("%d bytes: %.80q", len(got), got)
	}
	if got := Text(E(Invalid, "text: 1:\nline")); got != "text: 1:\nline" {
		t.Errorf("got %q", got)
	}
}
