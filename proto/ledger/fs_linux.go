package ledger

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

func datasync(f *os.File) error { return again(func() error { return unix.Fdatasync(int(f.Fd())) }) }

// allocate asks for the space in one step, so that a full disk is known before a byte is written. File systems that can't do it get
// the zeros that follow.
func allocate(f *os.File, size int64) error {
	err := again(func() error { return unix.Fallocate(int(f.Fd()), 0, 0, size) })
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return nil
	}
	return err
}

// freeBytes leaves out the blocks that are kept for root: the agent must not depend on them.
func freeBytes(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := again(func() error { return unix.Statfs(dir, &s) }); err != nil {
		return 0, err
	}
	return int64(s.Bavail) * int64(s.Bsize), nil // the block size is 32 bits wide on some CPUs
}

// again repeats a call that a signal interrupted; nothing else is ever repeated.
func again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
