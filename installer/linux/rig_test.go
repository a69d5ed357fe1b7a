//go:build linux

package linux

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// rig is this machine once more, booted by a real systemd as a container over a throw-away layer: packages can be
// installed into it and nothing of that reaches the machine itself.
type rig struct {
	t     *testing.T
	init  string // process number of the container's first process, never 1
	share string // folder that the container sees as /share
}

// bootRig boots it, or skips and says what is missing. It is powered off when the test ends.
func bootRig(t *testing.T) *rig {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs: root")
	}
	need(t, "systemd-nspawn", "systemd-container")
	need(t, "dpkg", "dpkg")
	if _, err := os.Stat("/lib/systemd/systemd"); err != nil {
		t.Skip("needs: systemd-sysv")
	}
	r := &rig{t: t, share: t.TempDir()}
	// No further than the basic target: what else is installed on this machine (databases, directories) must neither start nor hold up the boot.
	container := exec.Command("systemd-nspawn", "--boot", "--directory="+throwawayRoot(t), "--machine=tapline-rig",
		"--register=no", "--keep-unit", "--private-network", "--bind="+r.share+":/share", "--console=passive", "--", "--unit=basic.target")
	var console bytes.Buffer // written by the container until it has ended, read after
	container.Stdout, container.Stderr = &console, &console
	container.WaitDelay = 5 * time.Second
	if err := container.Start(); err != nil {
		t.Fatal(err)
	}
	var waiter sync.WaitGroup
	ended := make(chan struct{})
	waiter.Go(func() { defer close(ended); _ = container.Wait() })
	t.Cleanup(func() {
		r.powerOff(ended)
		_ = container.Process.Kill()
		waiter.Wait()
	})
	r.await("first process", ended, func() bool {
		children, _ := exec.Command("pgrep", "-P", strconv.Itoa(container.Process.Pid)).Output()
		r.init, _, _ = strings.Cut(strings.TrimSpace(string(children)), "\n")
		return r.init != "" && r.init != "1"
	}, &console)
	r.await("systemd", ended, func() bool {
		state, _ := r.command("systemctl", "is-system-running").Output()
		s := strings.TrimSpace(string(state))
		return s == "running" || s == "degraded"
	}, &console)
	return r
}

// throwawayRoot is the machine's root with a layer in memory above it.
func throwawayRoot(t *testing.T) string {
	t.Helper()
	layers := t.TempDir()
	mount(t, layers, "-t", "tmpfs", "tmpfs")
	for _, dir := range []string{"upper", "work", "root"} {
		if err := os.Mkdir(filepath.Join(layers, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	root := filepath.Join(layers, "root")
	mount(t, root, "-t", "overlay", "-o",
		"lowerdir=/,upperdir="+filepath.Join(layers, "upper")+",workdir="+filepath.Join(layers, "work"), "overlay")
	return root
}

func mount(t *testing.T, at string, args ...string) {
	t.Helper()
	if out, err := exec.Command("mount", append(args, at)...).CombinedOutput(); err != nil {
		t.Skipf("needs: rights to mount (%s)", strings.TrimSpace(string(out)))
	}
	t.Cleanup(func() {
		// Lazily: what the container still holds open goes with the container.
		if out, err := exec.Command("umount", "--lazy", at).CombinedOutput(); err != nil {
			t.Errorf("umount %s: %v\n%s", at, err, out)
		}
	})
}

// bootLimit is how long the container may take: seconds on a quiet machine.
const bootLimit = 3 * time.Minute

// await polls until the rig has come that far. A container that ends by itself is a machine that cannot boot one.
func (r *rig) await(what string, ended <-chan struct{}, there func() bool, console io.Reader) {
	r.t.Helper()
	limit := time.NewTimer(bootLimit)
	defer limit.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !there() {
		select {
		case <-tick.C:
		case <-ended:
			said, _ := io.ReadAll(console)
			r.t.Skipf("needs: a machine where systemd-nspawn can boot: %s", said)
		case <-limit.C:
			waiting, _ := r.command("systemctl", "list-jobs", "--no-pager").CombinedOutput()
			r.t.Fatalf("no %s after %s; systemd waits for:\n%s", what, bootLimit, waiting)
		}
	}
}

func (r *rig) command(args ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"--target", r.init, "--all"}, args...)...)
}

func (r *rig) powerOff(ended <-chan struct{}) {
	if r.init == "" {
		return
	}
	_ = r.command("systemctl", "poweroff", "--force").Run()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	select {
	case <-ended:
	case <-limit.C:
	}
}

// sh runs a script inside and gives back what it printed and its exit code.
func (r *rig) sh(script string) (string, int) {
	r.t.Helper()
	out, err := r.command("sh", "-c", script).CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return strings.TrimSpace(string(out)), exit.ExitCode()
	}
	if err != nil {
		r.t.Fatalf("%s: %v", script, err)
	}
	return strings.TrimSpace(string(out)), 0
}

// does runs a script that must end well and print exactly want.
func (r *rig) does(script, want string) {
	r.t.Helper()
	if got, code := r.sh(script); got != want || code != 0 {
		r.t.Errorf("%s\nprinted %q, ended %d; want %q", script, got, code, want)
	}
}

// ends runs a script that must end with code and say what it is about.
func (r *rig) ends(script string, code int, says string) {
	r.t.Helper()
	if out, got := r.sh(script); got != code || !strings.Contains(out, says) {
		r.t.Errorf("%s\nended %d, want %d saying %q:\n%s", script, got, code, says, out)
	}
}
