package statefile_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tapline/agent/statefile"
	"tapline/agent/statefile/statefiletest"
)

func TestAReplacedFileHasTheOldContentOrTheNew(t *testing.T) {
	statefiletest.EachCrash(t, func(t *testing.T, disk *statefiletest.Disk, dir string) {
		path := filepath.Join(dir, "state")
		if err := statefile.Write(statefile.OS(), path, []byte("old content")); err != nil {
			t.Fatal(err)
		}
		err := statefile.Write(disk, path, []byte("new content"))
		if err != nil && !errors.Is(err, statefiletest.ErrCrash) {
			t.Fatal(err)
		}
		got, readErr := os.ReadFile(path)
		if readErr != nil {
			t.Fatal(readErr)
		}
		if s := string(got); s != "new content" && (err == nil || s != "old content") {
			t.Errorf("after %v the file holds %q", err, s)
		}
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			hourAgo := time.Now().Add(-time.Hour)
			if err := os.Chtimes(filepath.Join(dir, e.Name()), hourAgo, hourAgo); err != nil {
				t.Fatal(err)
			}
		}
		if err := statefile.Sweep(dir); err != nil {
			t.Fatal(err)
		}
		entries, _ = os.ReadDir(dir)
		if len(entries) != 1 {
			t.Errorf("%d files are left, want 1", len(entries))
		}
	})
}

func TestARemovedFileStaysAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	for range 2 { // the second time it is gone already
		if err := statefile.Remove(statefile.OS(), path); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOnlyTheOwnerCanRead(t *testing.T) {
	if os.PathSeparator != '/' {
		t.Skip("needs: file modes")
	}
	dir := filepath.Join(t.TempDir(), "a", "b")
	if _, err := statefile.Folder(dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "state")
	if err := statefile.Write(statefile.OS(), path, []byte("x")); err != nil {
		t.Fatal(err)
	}
	for p, want := range map[string]os.FileMode{dir: 0o700, path: 0o600} {
		if info, err := os.Stat(p); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v, want %v", p, info.Mode().Perm(), err, want)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if tightened, err := statefile.Folder(dir); err != nil || !tightened {
		t.Errorf("a folder that all may read: tightened %v, %v", tightened, err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if _, err := statefile.Folder(link); err == nil {
		t.Error("a link was taken for a folder")
	}
}
