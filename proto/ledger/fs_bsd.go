//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package ledger

import (
	"errors"
	"os"
)

// datasync is Sync, which on darwin also empties the drive's cache.
func datasync(f *os.File) error { return f.Sync() }

func allocate(f *os.File, size int64) error { return f.Truncate(size) }

func freeBytes(string) (int64, error) { return 0, errors.ErrUnsupported }
