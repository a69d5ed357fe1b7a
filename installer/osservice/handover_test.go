package osservice

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const secret = "tap1.c2VjcmV0.dG9rZW4"

func TestHandoverIsLeftTakenAgainAndDestroyed(t *testing.T) {
	dir := t.TempDir()
	if _, there, err := TakeHandover(dir); there || err != nil {
		t.Fatalf("nothing was left, yet: %v, %v", there, err)
	}
	want := Handover{Broker: "broker.plant.example:8443", Token: secret}
	for range 2 { // the newest replaces the older
		if err := LeaveHandover(dir, want); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // a service that died while enrolling finds it again
		got, there, err := TakeHandover(dir)
		if err != nil || !there || got != want {
			t.Fatalf("took %v, %v, %v", got, there, err)
		}
	}
	for range 2 { // destroying twice is no error
		if err := DestroyHandover(dir); err != nil {
			t.Fatal(err)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestHandoverRefusesWhatCannotBeRight(t *testing.T) {
	good := Handover{Broker: "b:1", Token: secret}
	tests := map[string]Handover{
		"a broker without port":  {Broker: "b", Token: secret},
		"no broker":              {Token: secret},
		"no token":               {Broker: "b:1"},
		"a token of two lines":   {Broker: "b:1", Token: secret + "\n" + secret},
		"a token with a quote":   {Broker: "b:1", Token: secret + `" --evil`},
		"a token beyond 8 KiB":   {Broker: "b:1", Token: Token(strings.Repeat("x", 9<<10))},
		"a token of other bytes": {Broker: "b:1", Token: "é"},
	}
	for name, h := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := LeaveHandover(dir, h); err == nil {
				t.Error("it was left")
			} else if strings.Contains(err.Error(), secret) {
				t.Errorf("the error shows the token: %v", err)
			}
		})
	}
	if err := LeaveHandover(t.TempDir(), good); err != nil {
		t.Errorf("and a good one is refused: %v", err)
	}
}

func TestABrokenHandoverFileIsAnErrorThatHidesIt(t *testing.T) {
	for _, content := range []string{"", secret, `{"token":"` + secret + `"}`, `{"broker":1,"token":"` + secret + `"}`} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, HandoverFile), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, there, err := TakeHandover(dir)
		if there || err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %v, %v", content, there, err)
		}
	}
}

func TestATokenNeverPrints(t *testing.T) {
	h := Handover{Broker: "b:1", Token: secret}
	encoded, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	out := string(encoded) + fmt.Sprintf("%v %+v %#v %s %q %x %X", h, h, h, h, h, h, h)
	for _, shown := range []string{secret, fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret)} {
		if strings.Contains(out, shown) {
			t.Errorf("the token shows: %s", out)
		}
	}
}
