package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestAFolderThatCannotBeMadeIsAFault before the first start finds out.
func TestAFolderThatCannotBeMadeIsAFault(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, filepath.Join(dir, "a", "b"), "check"); err != nil || !strings.Contains(out, "all good") {
		t.Errorf("one that can be: %v\n%s", err, out)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("check left %v, %v", left, err)
	}
	bad := map[string]string{"below a file": filepath.Join(plain, "data")}
	if runtime.GOOS == "linux" {
		bad["where nobody can make anything"] = "/proc/tapline/data"
	}
	for says, data := range bad {
		if out, err := run(t, data, "check"); err == nil || !strings.Contains(out, "fault  data "+data) {
			t.Errorf("%s: %v\n%s", says, err, out)
		}
	}
}
