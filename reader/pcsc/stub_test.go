//go:build !cgo && !windows

package pcsc

import (
	"errors"
	"testing"
)

func TestABuildWithoutPCSCSaysSo(t *testing.T) {
	if _, err := New(Config{}); !errors.Is(err, ErrNotBuilt) {
		t.Errorf("error %v, want ErrNotBuilt", err)
	}
}
