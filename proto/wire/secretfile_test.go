package wire

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestASecretsFileIsItsOwnersAlone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if _, err := ReadSecret(file, 10); !os.IsNotExist(err) {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := os.WriteFile(file, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := ReadSecret(file, 10); err != nil || string(b) != "0123456789" {
		t.Errorf("got %q, %v", b, err)
	}
	if _, err := ReadSecret(file, 9); err == nil || strings.Contains(err.Error(), "0123") {
		t.Errorf("longer than wanted: %v", err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSecret(file, 10); err == nil || CheckSecret(file) == nil {
		t.Error("a file that a group may read was taken")
	}
}
