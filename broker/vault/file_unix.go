//go:build unix

package vault

import (
	"errors"
	"fmt"
	"os"
)

// syncFolder makes a new name in a folder durable.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	return errors.Join(f.Sync(), f.Close())
}

// checkRights refuses a key file that others than its owner may read or write.
func checkRights(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("others may use it (mode %04o): chmod 600 it, and think of who may have read it", mode)
	}
	return nil
}
