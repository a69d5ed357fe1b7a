//go:build linux

package vpcd

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// inside marks the environment of a program that Isolate has run again.
const inside = "TAPLINE_PRIVATE_PCSC"

// Isolate gives this program a PC/SC world of its own. Called first thing in a main or TestMain, it runs the program again, same arguments
// and standard streams, in new mount and network namespaces, waits for it, and returns its exit code with again = true: the
// caller exits with that code. In the second run it mounts an empty /run/pcscd, brings the loopback interface up, and returns again = false:
// the caller carries on. Without root it also makes a user namespace, where the system allows that.
func Isolate(ctx context.Context) (code int, again bool, err error) {
	if os.Getenv(inside) != "" {
		return 0, false, prepare()
	}
	self, err := os.Executable()
	if err != nil {
		return 0, false, fmt.Errorf("isolate: %w", err)
	}
	// The directory to mount on must exist; only root can make it, and without it prepare falls back to a private /run.
	_ = os.Mkdir(runDir, 0o755)
	cmd := exec.CommandContext(ctx, self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = namespaces(os.Geteuid(), os.Getegid())
	// When ctx ends, the second run is asked to end and gets time to tidy up.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = startLimit
	err = cmd.Run()
	if cmd.ProcessState != nil { // it ran, however it ended; a ctx that ended meanwhile is no fault of its own
		return cmd.ProcessState.ExitCode(), true, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("isolate: new namespaces: %w", err)
	}
	return 0, true, nil
}

func namespaces(uid, gid int) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if uid == 0 {
		return attr
	}
	return &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: gid, Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
}

func prepare() error {
	if err := mountRunDir(); err != nil {
		return fmt.Errorf("isolate: %w", err)
	}
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("isolate: loopback up: %w", err)
	}
	return nil
}

func mountRunDir() error {
	if _, err := os.Stat(runDir); err == nil {
		return mount(runDir)
	}
	if err := mount("/run"); err != nil {
		return err
	}
	return os.Mkdir(runDir, 0o755)
}

func mount(dir string) error {
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("mount a private %s: %w", dir, err)
	}
	return nil
}
