package statefile

import (
	"fmt"
	"os"

	"golang.org/x/sys/windows"
)

// private lets LocalSystem, the administrators and the owner in, nobody else, and inherits to what is made inside (SDDL).
const private = "D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;OW)"

// Folder makes dir if it is not there and lets only LocalSystem, administrators and the owner in.
func Folder(dir string) (tightened bool, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return false, fmt.Errorf("make folder: %w", err)
	}
	return false, restrict(dir)
}

// Tighten has nothing to do: files inherit the rights of their folder.
func Tighten(string, os.FileMode) (tightened bool, err error) { return false, nil }

func restrict(path string) error {
	sd, err := windows.SecurityDescriptorFromString(private)
	if err != nil {
		return fmt.Errorf("rights of %s: %w", path, err)
	}
	dacl, _, err := sd.DACL()
	if err != nil {
		return fmt.Errorf("rights of %s: %w", path, err)
	}
	err = windows.SetNamedSecurityInfo(path, windows.SE_FILE_OBJECT,
		windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, dacl, nil)
	if err != nil {
		return fmt.Errorf("rights of %s: %w", path, err)
	}
	return nil
}
