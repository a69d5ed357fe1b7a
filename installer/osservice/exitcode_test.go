package osservice

import (
	"errors"
	"fmt"
	"testing"
)

func TestEveryCodeHasItsPlaceNameAndMeaning(t *testing.T) {
	seen := map[string]bool{}
	for i, row := range ExitCodes() {
		if row.Code != ExitCode(i) {
			t.Errorf("row %d is code %d", i, row.Code)
		}
		if row.Name == "" || row.Meaning == "" || seen[row.Name] || row.Code.String() != row.Name {
			t.Errorf("row %d: %+v", i, row)
		}
		seen[row.Name] = true
	}
	if got := ExitCode(99).String(); got != "exit code 99" {
		t.Errorf("unknown code = %q", got)
	}
}

func TestCodeAndHintOfAnError(t *testing.T) {
	inner := Fault(Refused, errBroken, "ask for a new token")
	tests := []struct {
		name string
		err  error
		code ExitCode
		hint string
	}{
		{"no error is ok", nil, OK, ""},
		{"a plain error is a failure", errBroken, Failure, ""},
		{"a code survives wrapping", fmt.Errorf("enrol: %w", inner), Refused, "ask for a new token"},
		{"the outermost code wins, the nearest hint stays", Fault(Config, inner, ""), Config, "ask for a new token"},
		{"a fault without error is none", Fault(Config, nil, "x"), OK, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := CodeOf(test.err); got != test.code {
				t.Errorf("code = %v, want %v", got, test.code)
			}
			if got := HintOf(test.err); got != test.hint {
				t.Errorf("hint = %q, want %q", got, test.hint)
			}
		})
	}
	if !errors.Is(inner, errBroken) {
		t.Error("the cause is lost")
	}
}
