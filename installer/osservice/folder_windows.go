package osservice

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/windows"
)

func folder(spec Spec) (string, error) {
	base, err := windows.KnownFolderPath(windows.FOLDERID_ProgramData, windows.KF_FLAG_DEFAULT)
	if err != nil {
		return "", fmt.Errorf("ask Windows for ProgramData: %w", err)
	}
	part := spec.part()
	return filepath.Join(base, "Tapline", strings.ToUpper(part[:1])+part[1:]), nil
}

func configFile(spec Spec) (string, error) {
	dir, err := folder(spec)
	return filepath.Join(dir, spec.part()+".yaml"), err
}

// closed: owner and group administrators; SYSTEM and administrators may do all, here and in all below; nobody else, and
// nothing is inherited from above.
const closed = "O:BAG:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"

func secureFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	descriptor, err := windows.SecurityDescriptorFromString(closed)
	if err != nil {
		return fmt.Errorf("close folder to others: %w", err)
	}
	owner, _, err := descriptor.Owner()
	if err != nil {
		return fmt.Errorf("close folder to others: %w", err)
	}
	list, _, err := descriptor.DACL()
	if err != nil {
		return fmt.Errorf("close folder to others: %w", err)
	}
	const what = windows.OWNER_SECURITY_INFORMATION | windows.DACL_SECURITY_INFORMATION |
		windows.PROTECTED_DACL_SECURITY_INFORMATION
	if err := windows.SetNamedSecurityInfo(dir, windows.SE_FILE_OBJECT, what, owner, nil, list, nil); err != nil {
		return fmt.Errorf("close folder %s to others: %w", dir, err)
	}
	return nil
}

// syncFolder: Windows has no such call for folders, its file system journals the name.
func syncFolder(string) error { return nil }
