//go:build linux

// Package vpcd runs a private PC/SC service (pcscd) whose readers are virtual ones, for the demo, the benchmark and the integration tests.
//
// Package vcard lays cards on the readers. A program that uses vpcd first calls Isolate, which runs the program again in a mount and
// network namespace of its own: pcscd has one fixed socket path, and the virtual reader listens on all interfaces. So parallel runs
// never meet, and a PC/SC service of the machine is neither seen nor disturbed. Nothing in a shipped agent or broker imports this package.
package vpcd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const (
	driver     = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so"
	runDir     = "/run/pcscd"
	socketPath = runDir + "/pcscd.comm"
	pidPath    = runDir + "/pcscd.pid"
	firstPort  = 40000
	startLimit = 15 * time.Second
)

// Spare is a pattern for pcsc.Config.Exclude: the driver makes two slots of each reader, and the second is of no use.
const Spare = "* 00 01"

// ErrMissing is wrapped by errors that say that a package is not installed on this machine.
var ErrMissing = errors.New("not installed")

// Daemon is a pcscd with virtual readers. Its methods are for one goroutine.
type Daemon struct {
	ctx   context.Context // ends the process with the caller's life; set by Start
	dir   string
	names []string
	ports []int
	cmd   *exec.Cmd
	ended chan struct{} // closed by the watcher of cmd when the process is gone
	watch watcher
}

// Available reports whether pcscd and the virtual reader are installed; the error names the missing package.
func Available() error {
	if _, err := exec.LookPath("pcscd"); err != nil {
		return fmt.Errorf("pcscd: %w", ErrMissing)
	}
	if _, err := os.Stat(driver); err != nil {
		return fmt.Errorf("vsmartcard-vpcd: %w", ErrMissing)
	}
	return nil
}

// Start writes the configuration under dir and runs pcscd with one virtual reader a name; it returns when all of them listen. The process
// ends with ctx or with Stop. Start assumes that /run/pcscd and the network are private (see Isolate) and refuses to run
// beside another PC/SC service there.
func Start(ctx context.Context, dir string, names ...string) (*Daemon, error) {
	if err := Available(); err != nil {
		return nil, fmt.Errorf("start pcscd: %w", err)
	}
	if err := nobodyServes(); err != nil {
		return nil, fmt.Errorf("start pcscd: %w", err)
	}
	d := &Daemon{ctx: ctx, dir: dir, names: names}
	if err := d.configure(); err != nil {
		return nil, fmt.Errorf("start pcscd: %w", err)
	}
	if err := d.launch(); err != nil {
		return nil, fmt.Errorf("start pcscd: %w", err)
	}
	return d, nil
}

// Addr is where cards are laid on reader i (in the order of the names given to Start).
func (d *Daemon) Addr(i int) string { return "127.0.0.1:" + strconv.Itoa(d.ports[i]) }

// Reader is what PC/SC calls reader i: the name and the numbers of the entry and its slot.
func (d *Daemon) Reader(i int) string { return d.names[i] + " 00 00" }

// PID is the process id of pcscd while it runs.
func (d *Daemon) PID() int { return d.cmd.Process.Pid }

// Kill ends pcscd with SIGKILL, as a crash would, and waits until it is gone.
func (d *Daemon) Kill() error { return d.end(syscall.SIGKILL) }

// Stop ends pcscd in order and waits until it is gone. Stopping a dead daemon does nothing.
func (d *Daemon) Stop() error { return d.end(syscall.SIGTERM) }

// Restart starts pcscd again with the same readers, ending it first if it still runs. Cards must be inserted again.
func (d *Daemon) Restart() error {
	if err := d.Stop(); err != nil {
		return err
	}
	if err := d.launch(); err != nil {
		return fmt.Errorf("restart pcscd: %w", err)
	}
	return nil
}

func (d *Daemon) launch() error {
	// A killed pcscd leaves these behind; nobody serves here, so they are only litter.
	_ = os.Remove(socketPath)
	_ = os.Remove(pidPath)
	log, err := os.OpenFile(filepath.Join(d.dir, "pcscd.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.CommandContext(d.ctx, "pcscd", "--foreground", "--config", d.confDir())
	cmd.Stdout, cmd.Stderr = log, log
	// No orphan outlives a killed demo or test.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	d.cmd, d.ended = cmd, d.watch.over(cmd)
	if err := d.waitReady(); err != nil {
		return errors.Join(err, d.Kill())
	}
	return nil
}

func (d *Daemon) end(with syscall.Signal) error {
	if err := d.cmd.Process.Signal(with); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end pcscd: %w", err)
	}
	select {
	case <-d.ended:
	case <-time.After(startLimit):
		_ = d.cmd.Process.Kill()
		<-d.ended
	}
	d.watch.wait()
	return nil
}
