//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/creack/pty"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/scripts/rig"
)

// ward is a station that a fault is tried on: its agent, its disk, its screen, its readers and its line.
type ward struct {
	plant   *rig.Plant
	station *rig.Station
	crew    []rig.Person
	desk    *rig.Desk
	cable   *rig.Cable
	helper  *rig.Process
	serial  *plug
	disk    string // where the station's state is
	clock   string // file that moves its clocks
	begun   time.Time
	unit    string // of the session that is locked; empty where there is none
	tracer  *exec.Cmd
	say     io.Writer
}

// diskSize is that of a station's disk.
const diskSize = 24 << 20

// ward makes a station, and waits until all of it is well.
func (b *bench) ward(ctx context.Context, mode string) (_ *ward, err error) {
	b.wards++
	dir := filepath.Join(b.dir, "ward-"+strconv.Itoa(b.wards))
	w := &ward{disk: filepath.Join(dir, "disk"), clock: filepath.Join(dir, "clock"), begun: time.Now().UTC(), say: b.say}
	if err := os.MkdirAll(w.disk, 0o700); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close(ctx))
		}
	}()
	if err := syscall.Mount("tmpfs", w.disk, "tmpfs", 0, fmt.Sprintf("mode=0700,size=%d", diskSize)); err != nil {
		return nil, fmt.Errorf("make the station's disk: %w", err)
	}
	if w.serial, err = newPlug(filepath.Join(dir, "ttyBADGE")); err != nil {
		return nil, err
	}
	if w.cable, err = rig.NewCable(ctx); err != nil {
		return nil, err
	}
	if w.plant, err = rig.NewAt(ctx, w.cable.Address(), filepath.Join(dir, "plant"), b.bin, "Reader A"); err != nil {
		return nil, err
	}
	if err := b.furnish(ctx, w, mode); err != nil {
		return nil, err
	}
	return w, nil
}

// furnish enrols the station and starts it, with its screen.
func (b *bench) furnish(ctx context.Context, w *ward, mode string) (err error) {
	if err := w.plant.StartBroker(ctx); err != nil {
		return err
	}
	if _, err := w.plant.Ctl(ctx, "account", "put", "press-hmi", "--station", "plant/"); err != nil {
		return err
	}
	w.crew = rig.People(3)
	if err := w.plant.Hire(ctx, w.crew...); err != nil {
		return err
	}
	w.station, err = w.plant.EnrolOn(ctx, w.disk, "plant/press/line-4/hmi-1", "press-hmi", fmt.Sprintf(`
mode: %s
heartbeat: 5s
panel: none
lock: {user: %q}
`, mode, lockedUser(mode)), w.serial.link)
	if err != nil {
		return err
	}
	if _, err := w.plant.Ctl(ctx, "station", "put", w.station.ID, "--account", "press-hmi", "--mode", mode); err != nil {
		return err
	}
	w.station.Agent = w.plant.Program("agent", nil, "tapbench", agentName, "--config", w.station.Config(), "--clock", w.clock)
	if w.desk, err = rig.NewDesk(ctx, filepath.Join(w.plant.Dir(), "logs")); err != nil {
		return err
	}
	if err := w.station.Start(ctx); err != nil {
		return err
	}
	if mode == "lock" {
		if err := w.session(ctx, b.bin, b.wards); err != nil {
			return err
		}
	} else if mode != "attribute" {
		w.helper = w.plant.Program("gate", []string{"DISPLAY=" + w.desk.Display, "WAYLAND_DISPLAY="}, "tapagent", "gate", "--socket", w.station.Socket())
		if err := w.helper.Start(); err != nil {
			return err
		}
	}
	return w.station.AwaitBundle(ctx)
}

// settle has somebody come and go: after it the station waits for a tap, as hard as its mode says.
func (w *ward) settle(ctx context.Context, mode string) error {
	within, cancel := context.WithTimeout(ctx, healWithin)
	defer cancel()
	seen, err := w.station.Tap(within, 0, w.crew[0].UID, rig.Named(w.crew[0].ID))
	if err != nil {
		return err
	}
	if !w.desk.Usable(ctx, openWithin) {
		return errors.New("with somebody there, no key reaches the machine")
	}
	mark := w.station.Mark()
	if _, err := w.station.Local.EndSession(within, &taplinev1.EndSessionRequest{Session: seen.Presence.GetSession()}); err != nil {
		return err
	}
	if _, err := w.station.Await(within, mark, rig.Idle); err != nil {
		return err
	}
	if mode == "attribute" {
		return nil
	}
	if !w.desk.Shut(ctx, 20*openWithin) { // a locker that was not there in time is asked for again after ten seconds
		return fmt.Errorf("in mode %s with nobody there, keys reach the machine", mode)
	}
	return nil
}

func (w *ward) modeInForce(ctx context.Context) (string, error) {
	st, err := w.station.Status(ctx)
	if err != nil {
		return "", err
	}
	return strings.ToLower(strings.TrimPrefix(st.GetPresence().GetMode().String(), "MODE_")), nil
}

// emergency presses the button.
func (w *ward) emergency(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, tapWithin)
	defer cancel()
	_, err := w.station.Local.BeginEmergency(ctx, &taplinev1.BeginEmergencyRequest{Reason: "alarm"})
	return err
}

// recovered waits until a tap names somebody under a durable record, the machine can be used, and the broker has everything.
func (w *ward) recovered(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, healWithin)
	defer cancel()
	if err := w.station.AwaitBroker(ctx, true); err != nil {
		return err
	}
	for who := 2; ; who = 2 - who { // the same badge is asked again only after another one
		one, late := context.WithTimeout(ctx, tapWithin)
		_, err := w.station.Tap(one, 0, w.crew[who].UID, rig.Named(w.crew[who].ID))
		late()
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return fmt.Errorf("nobody can tap in: %w", err)
		}
	}
	if !w.desk.Usable(ctx, openWithin) {
		return errors.New("with somebody there, no key reaches the machine")
	}
	return w.station.AwaitDrained(ctx)
}

// spoil makes system calls of the agent fail.
func (w *ward) spoil(ctx context.Context, what string) error {
	calls, _, _ := strings.Cut(what, ":")
	w.tracer = exec.CommandContext(ctx, "strace", "-f", "-qq", "-o", filepath.Join(w.plant.Dir(), "logs", "strace.log"),
		"-e", "trace="+calls, "-e", "inject="+what, "-p", strconv.Itoa(w.station.Agent.PID()))
	if err := w.tracer.Start(); err != nil {
		return fmt.Errorf("strace: %w", err)
	}
	traced := func() bool {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.station.Agent.PID()))
		return err == nil && strings.Contains(string(b), fmt.Sprintf("TracerPid:\t%d\n", w.tracer.Process.Pid))
	}
	for begun := time.Now(); !traced(); {
		if time.Since(begun) > healWithin {
			return errors.New("strace does not trace the agent")
		}
		if err := wait(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func (w *ward) unspoil() error {
	if w.tracer == nil {
		return nil
	}
	_ = w.tracer.Process.Signal(syscall.SIGINT) // it lets go of the agent and ends
	_ = w.tracer.Wait()
	w.tracer = nil
	return nil
}

// rollBackBundle puts an old bundle back in place of a newer one, as somebody would who wants a revoked badge to work again.
func (w *ward) rollBackBundle(ctx context.Context) error {
	bundle := filepath.Join(w.station.StateDir(), "bundle", "bundle.dsse.json")
	old, err := os.ReadFile(bundle)
	if err != nil {
		return err
	}
	before, err := w.station.Status(ctx)
	if err != nil {
		return err
	}
	if _, err := w.plant.Ctl(ctx, "person", "put", "p-2001", "--name", "New N.", "--role", "operator"); err != nil {
		return err
	}
	if _, err := w.plant.Ctl(ctx, "badge", "assign", "p-2001", "--uid", "04d00d00d00d80"); err != nil {
		return err
	}
	newer := func(st *taplinev1.GetStatusResponse) bool {
		return st.GetBundle().GetSequence() > before.GetBundle().GetSequence()
	}
	if err := w.station.AwaitStatus(ctx, newer); err != nil {
		return err
	}
	if err := errors.Join(w.plant.Broker.Kill(), w.station.Agent.Stop(), os.WriteFile(bundle, old, 0o600)); err != nil {
		return err
	}
	return w.station.Start(ctx)
}

// hmi is the account of the session that is locked, in the container where that is tried.
const hmi = "hmi"

func lockedUser(mode string) string {
	if mode == "lock" {
		return hmi
	}
	return ""
}

// session signs the shared account in, with a helper and a locker that asks PAM; what PAM asks after the agent lets everybody in, in the place of a password.
func (w *ward) session(ctx context.Context, bin string, n int) error {
	for dir := w.disk; dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) { // it must get to the agent's socket
		if err := os.Chmod(dir, 0o711); err != nil {
			return err
		}
	}
	pam := "auth [success=done auth_err=die default=ignore] pam_tapline.so socket=" + filepath.Join(w.disk, "pam.sock") +
		"\nauth required pam_permit.so\naccount required pam_permit.so\n"
	if err := os.WriteFile("/etc/pam.d/i3lock", []byte(pam), 0o644); err != nil {
		return err
	}
	w.unit = fmt.Sprintf("desk-%d", n)
	script := "(while :; do xss-lock --session=$XDG_SESSION_ID -- i3lock -n -c 202020; sleep .2; done) & exec " +
		filepath.Join(bin, "tapagent") + " gate --socket " + w.station.Socket()
	out, err := exec.CommandContext(ctx, "systemd-run", "-q", "--unit="+w.unit, "-p", "LimitMEMLOCK=infinity", "-p", "PAMName=desk", "-p", "User="+hmi,
		"-p", "Environment=DISPLAY="+w.desk.Display, "sh", "-c", script).CombinedOutput()
	if err != nil {
		return fmt.Errorf("sign %s in: %w\n%s", hmi, err, out)
	}
	return nil
}

// close ends everything; what is not there yet is left out.
func (w *ward) close(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	faults := []error{w.unspoil()}
	if w.unit != "" {
		_ = exec.CommandContext(ctx, "systemctl", "stop", w.unit).Run()       // it may have ended with its screen
		_ = exec.CommandContext(ctx, "loginctl", "terminate-user", hmi).Run() // logind leaves what it ran
		_ = exec.CommandContext(ctx, "pkill", "-KILL", "-u", hmi).Run()
	}
	if w.helper != nil {
		faults = append(faults, w.helper.Kill())
	}
	if w.desk != nil {
		faults = append(faults, w.desk.Close())
	}
	if w.plant != nil {
		faults = append(faults, w.plant.Close())
	}
	if w.cable != nil {
		faults = append(faults, w.cable.Remove(ctx))
	}
	if w.serial != nil {
		faults = append(faults, w.serial.pull())
	}
	return errors.Join(append(faults, syscall.Unmount(w.disk, syscall.MNT_DETACH))...)
}

// plug is a serial reader that can be pulled: the slave side of a terminal under a name that stays.
type plug struct {
	link   string
	master *os.File
	slave  *os.File
}

func newPlug(link string) (*plug, error) {
	p := &plug{link: link}
	return p, p.plug()
}

func (p *plug) plug() (err error) {
	if p.master, p.slave, err = pty.Open(); err != nil {
		return fmt.Errorf("make a serial reader: %w", err)
	}
	return os.Symlink(p.slave.Name(), p.link)
}

// pull takes it away, if it is there.
func (p *plug) pull() error {
	if p.master == nil {
		return nil
	}
	err := errors.Join(os.Remove(p.link), p.slave.Close(), p.master.Close())
	p.master, p.slave = nil, nil
	return err
}
