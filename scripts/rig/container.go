//go:build linux

package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ErrNoContainer is wrapped by errors that say that this machine cannot boot one.
var ErrNoContainer = errors.New("no container here")

// Container is this machine once more, booted by a real systemd over a throw-away layer in memory: what is installed and broken in it never
// reaches the machine.
type Container struct {
	// Share is a folder of this machine that the container sees as /share.
	Share string

	init    string // process number of its first process, never 1
	layers  string
	nspawn  *exec.Cmd
	console bytes.Buffer // written until it has ended
	ended   chan struct{}
	waiter  sync.WaitGroup
}

// bootLimit is how long the container may take: seconds on a quiet machine. bootTries is how often it is tried: once in a while systemd hangs in a container.
const (
	bootLimit = 90 * time.Second
	bootTries = 2
)

// Boot makes it in dir, with logind and nothing else that the machine may have installed.
func Boot(ctx context.Context, dir string) (c *Container, err error) {
	for try := range bootTries {
		if c, err = boot(ctx, filepath.Join(dir, strconv.Itoa(try))); err == nil || errors.Is(err, ErrNoContainer) || ctx.Err() != nil {
			return c, err
		}
	}
	return nil, err
}

func boot(ctx context.Context, dir string) (_ *Container, err error) {
	c := &Container{Share: filepath.Join(dir, "share"), layers: filepath.Join(dir, "layers"), ended: make(chan struct{})}
	root, err := c.layer()
	if err != nil {
		return nil, err
	}
	// Lockers want their memory locked. No further than the basic target: what else is installed on this machine (databases, directories) must neither start nor hold up the boot.
	c.nspawn = exec.Command("systemd-nspawn", "--boot", "--directory="+root, "--machine=tapline-station", "--register=no", "--keep-unit",
		"--private-network", "--system-call-filter=@memlock", "--bind="+c.Share+":/share", "--console=passive", "--", "--unit=basic.target")
	c.nspawn.Stdout, c.nspawn.Stderr, c.nspawn.WaitDelay = &c.console, &c.console, 5*time.Second
	if err := c.nspawn.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: systemd-nspawn: %w", ErrNoContainer, err), c.unmount())
	}
	c.waiter.Go(func() { defer close(c.ended); _ = c.nspawn.Wait() })
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	err = c.await(ctx, "a first process", func() bool {
		out, _ := exec.Command("pgrep", "-P", strconv.Itoa(c.nspawn.Process.Pid)).Output()
		c.init, _, _ = strings.Cut(strings.TrimSpace(string(out)), "\n")
		return c.init != "" && c.init != "1"
	})
	if err == nil {
		err = c.await(ctx, "systemd", func() bool {
			out, _ := c.command(ctx, "systemctl", "is-system-running").Output()
			s := strings.TrimSpace(string(out))
			return s == "running" || s == "degraded"
		})
	}
	if err != nil {
		return nil, err
	}
	_, err = c.Sh(ctx, "systemctl start dbus systemd-logind")
	return c, err
}

// layer is the machine's root with a layer in memory above it.
func (c *Container) layer() (string, error) {
	if err := errors.Join(os.MkdirAll(c.Share, 0o755), os.MkdirAll(c.layers, 0o755)); err != nil {
		return "", err
	}
	if err := syscall.Mount("tmpfs", c.layers, "tmpfs", 0, "mode=0755"); err != nil {
		return "", fmt.Errorf("%w: mount: %w", ErrNoContainer, err)
	}
	var dirs [3]string
	for i, name := range []string{"upper", "work", "root"} {
		dirs[i] = filepath.Join(c.layers, name)
		if err := os.Mkdir(dirs[i], 0o755); err != nil {
			return "", err
		}
	}
	if err := syscall.Mount("overlay", dirs[2], "overlay", 0, "lowerdir=/,upperdir="+dirs[0]+",workdir="+dirs[1]); err != nil {
		return "", errors.Join(fmt.Errorf("%w: overlay: %w", ErrNoContainer, err), syscall.Unmount(c.layers, syscall.MNT_DETACH))
	}
	return dirs[2], nil
}

func (c *Container) unmount() error {
	return errors.Join(syscall.Unmount(filepath.Join(c.layers, "root"), syscall.MNT_DETACH), syscall.Unmount(c.layers, syscall.MNT_DETACH))
}

func (c *Container) await(ctx context.Context, what string, there func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, bootLimit)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !there() {
		select {
		case <-tick.C:
		case <-c.ended:
			return fmt.Errorf("%w: systemd-nspawn ended: %s", ErrNoContainer, c.console.Bytes())
		case <-ctx.Done():
			return fmt.Errorf("no %s: %w", what, ctx.Err())
		}
	}
	return nil
}

func (c *Container) command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "nsenter", append([]string{"--target", c.init, "--all"}, args...)...)
}

// Sh runs a script inside and gives back what it printed. One that fails is an error that says what it printed.
func (c *Container) Sh(ctx context.Context, script string) (string, error) {
	out, err := c.command(ctx, "sh", "-c", script).CombinedOutput()
	said := strings.TrimSpace(string(out))
	if err != nil {
		return said, fmt.Errorf("%s: %w\n%s", script, err, said)
	}
	return said, nil
}

// Run runs a program inside to its end.
func (c *Container) Run(ctx context.Context, out, errs io.Writer, args ...string) error {
	cmd := c.command(ctx, args...)
	cmd.Stdout, cmd.Stderr = out, errs
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run %s in the container: %w", args[0], err)
	}
	return nil
}

// Close powers it off.
func (c *Container) Close() error {
	if c.init != "" {
		ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
		defer cancel()
		_ = c.command(ctx, "systemctl", "poweroff", "--force").Run()
		select {
		case <-c.ended:
		case <-ctx.Done():
		}
	}
	_ = c.nspawn.Process.Kill()
	c.waiter.Wait()
	return c.unmount()
}
