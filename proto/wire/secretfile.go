package wire

import (
	"fmt"
	"os"
	"runtime"
)

// CheckSecret looks at a file that holds a secret: nobody but its owner may read it.
func CheckSecret(file string) error {
	_, err := statSecret(file)
	return err
}

func statSecret(file string) (os.FileInfo, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others (%s): chmod 600 it", file, info.Mode().Perm())
	}
	return info, nil
}

// ReadSecret reads a file that CheckSecret likes, and that is no longer than most bytes.
func ReadSecret(file string, most int64) ([]byte, error) {
	info, err := statSecret(file)
	if err != nil {
		return nil, err
	}
	if info.Size() > most {
		return nil, fmt.Errorf("%s is longer than %d bytes", file, most)
	}
	return os.ReadFile(file)
}
