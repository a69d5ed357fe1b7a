//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// becomeOwner turns root into the account that owns the state folder, for the rest of this process: what an administrator does with sudo must
// leave files that the service can read, and the keys are nobody else's. Anybody but root stays who they are, and so does root where the folder
// is not there or is root's own.
func becomeOwner(stateDir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(stateDir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 {
		return nil
	}
	if err := errors.Join(syscall.Setgroups([]int{int(owner.Gid)}), syscall.Setgid(int(owner.Gid)), syscall.Setuid(int(owner.Uid))); err != nil {
		return fmt.Errorf("become the owner of %s: %w", stateDir, err)
	}
	return nil
}
