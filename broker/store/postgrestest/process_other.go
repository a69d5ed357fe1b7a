//go:build !unix

package postgrestest

import (
	"os"
	"os/exec"
	"syscall"
)

const (
	stop    = syscall.SIGKILL // there is no standing still
	proceed = syscall.SIGKILL
)

func lower(*exec.Cmd) error { return nil }

func own(string) error { return nil }

func touch(path string) error { return os.WriteFile(path, nil, 0o600) }
