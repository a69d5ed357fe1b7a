//go:build unix

package postgrestest

import (
	"fmt"
	"os"
	"os/exec"
	osuser "os/user"
	"strconv"
	"syscall"
)

const (
	stop    = syscall.SIGSTOP
	proceed = syscall.SIGCONT
)

// lower makes a program run without the rights of root, which PostgreSQL refuses to have.
func lower(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	dieWithParent(cmd.SysProcAttr)
	uid, gid, err := owner()
	if err != nil || os.Geteuid() != 0 {
		return err
	}
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return nil
}

// owner is who the server runs as.
func owner() (uid, gid int, err error) {
	if os.Geteuid() != 0 {
		return os.Geteuid(), os.Getegid(), nil
	}
	u, err := osuser.Lookup(user)
	if err != nil {
		return 0, 0, fmt.Errorf("%w: %w", ErrMissing, err)
	}
	if uid, err = strconv.Atoi(u.Uid); err == nil {
		gid, err = strconv.Atoi(u.Gid)
	}
	return uid, gid, err
}

// own gives a folder to who the server runs as.
func own(dir string) error {
	uid, gid, err := owner()
	if err != nil {
		return err
	}
	return os.Chown(dir, uid, gid)
}

// touch makes an empty file that the server may read.
func touch(path string) error {
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return err
	}
	return own(path)
}
