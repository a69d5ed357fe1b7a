//go:build !windows

package statefile

import (
	"fmt"
	"os"
	"syscall"
)

// Folder makes dir, mode 0700, if it is not there, and makes sure that only its owner can look inside. It reports whether the rights of a
// folder that was there were too wide. A folder of somebody else, or a link in its place, is refused: whoever made it may
// have put files there.
func Folder(dir string) (tightened bool, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return false, fmt.Errorf("make folder: %w", err)
	}
	return Tighten(dir, 0o700)
}

// Tighten takes the rights of group and others off a file or folder of ours.
func Tighten(path string, want os.FileMode) (tightened bool, err error) {
	info, err := os.Lstat(path)
	if err != nil {
		return false, err
	}
	if info.Mode()&os.ModeSymlink != 0 {
		return false, fmt.Errorf("%s is a link", path)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() {
		return false, fmt.Errorf("%s belongs to user %d, not to user %d", path, stat.Uid, os.Geteuid())
	}
	if info.Mode().Perm()&^want == 0 {
		return false, nil
	}
	return true, os.Chmod(path, want)
}
