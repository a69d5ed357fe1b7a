package logons

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"tapline/agent/session"
)

// childOfLogind tells this test's own program inside the container from the one outside.
const childOfLogind = "TAPLINE_TEST_LOGONS_CHILD"

// TestARealLogind boots this machine once more as a container with a real systemd and logind, and has people log on to it.
func TestARealLogind(t *testing.T) {
	if os.Getenv(childOfLogind) != "" {
		printUses(t)
		return
	}
	if os.Getenv("TAPLINE_SUITE") == "quick" {
		t.Skip("needs: full suite")
	}
	r := bootLogind(t)
	r.sh("useradd -m -s /bin/sh hmi")
	r.sh(`printf 'auth required pam_permit.so\naccount required pam_permit.so\nsession required pam_systemd.so class=user type=x11\n' | tee /etc/pam.d/sshd /etc/pam.d/desk /etc/pam.d/gdm-autologin >/dev/null`)
	logon := func(unit, service, user string) {
		t.Helper()
		r.sh(fmt.Sprintf("systemd-run -q --unit=%s -p PAMName=%s -p User=%s sleep 1000", unit, service, user))
	}
	logon("before", "desk", "hmi") // logged on before the agent starts: the shared account that runs for weeks
	r.sh("for i in $(seq 300); do loginctl --no-legend list-sessions | grep -q hmi && exit 0; sleep .1; done; exit 1")
	r.watch()
	r.wants("ready")
	logon("desk", "desk", "hmi")
	r.wants("used os-logon hmi")
	r.sh("systemctl stop desk")
	r.wants("unused")
	logon("shell", "sshd", "hmi")
	r.wants("used ssh hmi")
	logon("auto", "gdm-autologin", "hmi") // nobody's
	const first = `S=$(loginctl --no-legend list-sessions | awk '$3=="hmi"{print $1}' | sort | head -1); P=$(busctl call org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager GetSession s $S | cut -d'"' -f2); `
	r.sh(first + "busctl call org.freedesktop.login1 $P org.freedesktop.login1.Session SetLockedHint b true")
	r.wants("unused")
	r.sh(first + "busctl call org.freedesktop.login1 $P org.freedesktop.login1.Session SetLockedHint b false")
	r.wants("used os-unlock hmi")
	r.sh("systemctl restart systemd-logind") // which forgets nobody, and is another one on the bus
	r.logsOnAgain(func(unit string) { logon(unit, "desk", "hmi") })
	r.wants("used os-logon hmi")
	r.sh("systemctl stop shell")
	r.wants("unused")
}

// logsOnAgain logs on until logind takes a session: once restarted it counts from 1 again, and refuses a number of which it left something.
func (r *rig) logsOnAgain(logon func(unit string)) {
	r.t.Helper()
	for i := range 10 {
		before := r.sessions()
		logon(fmt.Sprintf("again-%d", i))
		for range 30 {
			if r.sessions() > before {
				return
			}
			<-time.After(100 * time.Millisecond)
		}
	}
	r.t.Fatal("logind takes no session any more")
}

// sessions is how many logind knows.
func (r *rig) sessions() int {
	r.t.Helper()
	out, err := r.command("loginctl", "--no-legend", "list-sessions").Output()
	if err != nil {
		r.t.Fatal(err)
	}
	return bytes.Count(out, []byte("\n"))
}

// printUses watches, and says what it sees in a line each.
func printUses(t *testing.T) {
	ctx, stop := signal.NotifyContext(t.Context(), syscall.SIGTERM)
	defer stop()
	w := newWatcher(Config{Log: zap.NewNop()})
	conn, err := w.connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := listRows(ctx, conn); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	emit := func(e session.Event) {
		switch e := e.(type) {
		case session.Used:
			fmt.Printf("used %s %s\n", e.Use.Reason, e.Use.Account)
		case session.Unused:
			fmt.Println("unused")
		}
	}
	var watching sync.WaitGroup
	watching.Go(func() {
		w := newWatcher(Config{Emit: emit, Log: zap.NewNop()})
		for ctx.Err() == nil {
			if err := w.listen(ctx, func() { fmt.Println("ready") }); err != nil {
				fmt.Fprintln(os.Stderr, "the connection ended:", err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(200 * time.Millisecond):
			}
		}
	})
	watching.Wait()
}

// rig is the container.
type rig struct {
	t     *testing.T
	init  string // number of its first process, never 1
	share string
	lines chan string
}

func bootLogind(t *testing.T) *rig {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs: root")
	}
	for _, need := range []struct{ path, pack string }{
		{"/usr/bin/systemd-nspawn", "systemd-container"}, {"/lib/systemd/systemd", "systemd-sysv"}, {"/lib/systemd/systemd-logind", "libpam-systemd"},
	} {
		if _, err := os.Stat(need.path); err != nil {
			t.Skip("needs: " + need.pack)
		}
	}
	r := &rig{t: t, share: t.TempDir(), lines: make(chan string, 64)}
	layers := t.TempDir()
	r.mount(layers, "-t", "tmpfs", "tmpfs")
	for _, dir := range []string{"upper", "work", "root"} {
		if err := os.Mkdir(filepath.Join(layers, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	root := filepath.Join(layers, "root")
	r.mount(root, "-t", "overlay", "-o", "lowerdir=/,upperdir="+filepath.Join(layers, "upper")+",workdir="+filepath.Join(layers, "work"), "overlay")
	nspawn := exec.Command("systemd-nspawn", "--boot", "--directory="+root, "--machine=tapline-logons", "--register=no", "--keep-unit",
		"--private-network", "--bind="+r.share+":/share", "--console=passive", "--", "--unit=basic.target")
	var console bytes.Buffer // read once it has ended
	nspawn.Stdout, nspawn.Stderr, nspawn.WaitDelay = &console, &console, 5*time.Second
	if err := nspawn.Start(); err != nil {
		t.Fatal(err)
	}
	var waiter sync.WaitGroup
	ended := make(chan struct{})
	waiter.Go(func() { defer close(ended); _ = nspawn.Wait() })
	t.Cleanup(func() {
		if r.init != "" {
			_ = r.command("systemctl", "poweroff", "--force").Run()
			select {
			case <-ended:
			case <-time.After(20 * time.Second):
			}
		}
		_ = nspawn.Process.Kill()
		waiter.Wait()
	})
	r.until(ended, &console, func() bool {
		out, _ := exec.Command("pgrep", "-P", strconv.Itoa(nspawn.Process.Pid)).Output()
		r.init, _, _ = strings.Cut(strings.TrimSpace(string(out)), "\n")
		return r.init != "" && r.init != "1"
	})
	r.until(ended, &console, func() bool {
		out, _ := r.command("systemctl", "is-system-running").Output()
		s := strings.TrimSpace(string(out))
		return s == "running" || s == "degraded"
	})
	r.sh("systemctl start dbus systemd-logind")
	return r
}

func (r *rig) mount(at string, args ...string) {
	r.t.Helper()
	if out, err := exec.Command("mount", append(args, at)...).CombinedOutput(); err != nil {
		r.t.Skipf("needs: rights to mount (%s)", strings.TrimSpace(string(out)))
	}
	r.t.Cleanup(func() { _ = exec.Command("umount", "--lazy", at).Run() })
}

func (r *rig) until(ended <-chan struct{}, console *bytes.Buffer, there func() bool) {
	r.t.Helper()
	limit := time.After(3 * time.Minute)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !there() {
		select {
		case <-tick.C:
		case <-ended:
			r.t.Skipf("needs: a machine where systemd-nspawn can boot: %s", console)
		case <-limit:
			r.t.Fatal("the container does not come up")
		}
	}
}

func (r *rig) command(args ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"--target", r.init, "--all"}, args...)...)
}

func (r *rig) sh(script string) {
	r.t.Helper()
	if out, err := r.command("sh", "-c", script).CombinedOutput(); err != nil {
		r.t.Fatalf("%s: %v\n%s", script, err, out)
	}
}

// watch runs this program inside, and collects what it says.
func (r *rig) watch() {
	r.t.Helper()
	self, err := os.ReadFile(os.Args[0])
	if err == nil {
		err = os.WriteFile(filepath.Join(r.share, "watch"), self, 0o755)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "nsenter", "--target", r.init, "--all", "env", childOfLogind+"=1", "/share/watch", "-test.run=^TestARealLogind$", "-test.timeout=5m")
	var said bytes.Buffer // read once it has ended
	cmd.Stderr, cmd.WaitDelay = &said, time.Second
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		r.t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			r.lines <- s.Text()
		}
	})
	r.t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		reading.Wait()
		r.t.Logf("the watch said on standard error:\n%s", &said)
	})
}

// wants waits for the next line and wants it to be this one. Before it may come those that are given as well.
func (r *rig) wants(line string, before ...string) {
	r.t.Helper()
	began := time.Now()
	select {
	case got := <-r.lines:
		if got == "ready" && line != "ready" { // after a connection that was lost
			r.wants(line, before...)
			return
		}
		if slices.Contains(before, got) {
			r.wants(line, before...)
			return
		}
		if got != line {
			r.t.Fatalf("the watch says %q, want %q", got, line)
		}
		r.t.Logf("%s after %s", line, time.Since(began).Round(time.Millisecond))
	case <-time.After(30 * time.Second):
		r.t.Fatalf("nothing is seen of %q", line)
	}
}
