//go:build unix

package vault_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tapline/broker/vault"
)

func TestOnlyItsOwnerReadsTheMasterKey(t *testing.T) {
	dir := t.TempDir()
	s := database(t, dir)
	unlock := func() {
		t.Helper()
		if _, err := vault.Unlock(t.Context(), s, place(t, dir), begin()); err != nil {
			t.Fatal(err)
		}
	}
	unlock()
	path := filepath.Join(dir, vault.KeyFile)
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 || info.Size() != vault.KeySize {
		t.Fatalf("%v, %v", info, err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o666} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := vault.Unlock(t.Context(), s, place(t, dir), begin()); err == nil || !strings.Contains(err.Error(), "chmod") {
			t.Errorf("a master key with the rights %v: got %v, want an error that says what to do", mode, err)
		}
	}
	for _, mode := range []os.FileMode{0o600, 0o400} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		unlock()
	}
}
