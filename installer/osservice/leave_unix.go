//go:build unix

package osservice

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
)

// leave hands the folder and the file to the service's account: root wrote them, the service must read and destroy them.
func leave(spec Spec, dir string, h Handover) error {
	if err := LeaveHandover(dir, h); err != nil {
		return err
	}
	if spec.User == "" || os.Geteuid() != 0 {
		return nil
	}
	account, err := user.Lookup(spec.User)
	if err != nil {
		return Fault(Failure, fmt.Errorf("hand over to the service's account: %w", err), "install the package first: it makes the account")
	}
	uid, errUID := strconv.Atoi(account.Uid)
	gid, errGID := strconv.Atoi(account.Gid)
	if err := errors.Join(errUID, errGID); err != nil {
		return fmt.Errorf("hand over to the service's account: %w", err)
	}
	for _, path := range []string{dir, filepath.Join(dir, HandoverFile)} {
		if err := os.Lchown(path, uid, gid); err != nil {
			return fmt.Errorf("hand over to the service's account: %w", err)
		}
	}
	return nil
}
