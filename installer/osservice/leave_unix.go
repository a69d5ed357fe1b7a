//go:build unix

package osservice

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// leave gives the file to the service's account: root wrote it, the service must read and destroy it. Without spec.User
// the account is whoever owns the folder, which a package made for it.
func leave(spec Spec, dir string, h Handover) error {
	if err := LeaveHandover(dir, h); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return nil
	}
	uid, gid, err := ownerOf(spec, dir)
	if err == nil {
		err = errors.Join(os.Lchown(dir, uid, gid), os.Lchown(filepath.Join(dir, HandoverFile), uid, gid))
	}
	if err != nil {
		return Fault(Failure, fmt.Errorf("hand over to the service's account: %w", err), "install the package first: it makes the account")
	}
	return nil
}

func ownerOf(spec Spec, dir string) (uid, gid int, err error) {
	if spec.User == "" {
		var info syscall.Stat_t
		if err := syscall.Stat(dir, &info); err != nil {
			return 0, 0, err
		}
		return int(info.Uid), int(info.Gid), nil
	}
	account, err := user.Lookup(spec.User)
	if err != nil {
		return 0, 0, err
	}
	uid, errUID := strconv.Atoi(account.Uid)
	gid, errGID := strconv.Atoi(account.Gid)
	return uid, gid, errors.Join(errUID, errGID)
}
