//go:build unix

package osservice

import (
	"fmt"
	"os"
)

func folder(spec Spec) (string, error) {
	if dir := underSystemd(); dir != "" {
		return dir, nil
	}
	return "/var/lib/" + spec.Name, nil
}

func configFile(spec Spec) (string, error) { return "/etc/tapline/" + spec.part() + ".yaml", nil }

func secureFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("close folder to others: %w", err)
	}
	return nil
}

// syncFolder makes a rename or a removal in dir durable.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return d.Sync()
}
