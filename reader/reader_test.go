package reader

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestANumberIsNeverPrinted(t *testing.T) {
	n := NewNumber("text", []byte("SECRET-4711"), 0)
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&out, verb, n)
		fmt.Fprintf(&out, verb, &n)
		fmt.Fprintf(&out, verb, Event{Badge: Badge{Number: n}})
	}
	fmt.Fprint(&out, n.String(), errors.New(fmt.Sprint(n)))
	slog.New(slog.NewJSONHandler(&out, nil)).Info("tap", "number", n, "badge", Badge{Number: n})
	if err := json.NewEncoder(&out).Encode(map[string]any{"n": n, "b": Badge{Number: n}}); err != nil {
		t.Fatal(err)
	}
	for _, leak := range []string{"SECRET", "4711", fmt.Sprintf("%x", "SECRET"), fmt.Sprintf("%X", "SECRET"), "83, 69"} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("%q is printed", leak)
		}
	}
}

func TestNumbersDifferByFormatBitsAndBytes(t *testing.T) {
	n := NewNumber("h10301", []byte{1, 2, 3, 0x40}, 26)
	for sentence, other := range map[string]Number{
		"another format":         NewNumber("uid", []byte{1, 2, 3, 0x40}, 26),
		"another count of bits":  NewNumber("h10301", []byte{1, 2, 3, 0x40}, 27),
		"another byte":           NewNumber("h10301", []byte{1, 2, 4, 0x40}, 26),
		"nothing":                {},
		"a longer row of bytes":  NewNumber("h10301", []byte{1, 2, 3, 0x40, 0}, 26),
		"a NUL within the bytes": NewNumber("h10301", []byte("\x0026\x00"), 26),
	} {
		if n.Equal(other) {
			t.Errorf("equal to %s", sentence)
		}
	}
	if !n.Equal(NewNumber("h10301", []byte{1, 2, 3, 0x40}, 26)) {
		t.Error("not equal to itself")
	}
}

func TestRelayKeepsOrderWhileTheConsumerIsStuck(t *testing.T) {
	const events = 1000
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	pushed := make(chan struct{})
	var got []Name
	err := Relay(ctx, func(e Event) {
		<-pushed // stuck until all has been pushed
		if got = append(got, e.Reader); len(got) == events {
			cancel(enough)
		}
	}, func(ctx context.Context, push func(Event)) error {
		for i := range events {
			push(Event{Reader: Name(fmt.Sprint(i))})
		}
		close(pushed)
		<-ctx.Done()
		return context.Cause(ctx)
	})
	if !errors.Is(err, enough) {
		t.Errorf("Relay returned %v, want the cause", err)
	}
	for i, name := range got {
		if name != Name(fmt.Sprint(i)) {
			t.Fatalf("event %d is %s", i, name)
		}
	}
}
