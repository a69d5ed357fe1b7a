//go:build !windows

package statefile

import (
	"errors"
	"os"
	"path/filepath"
)

func syncDir(dir string) error {
	d, err := os.Open(filepath.Clean(dir))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
