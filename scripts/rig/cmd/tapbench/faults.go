//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tapline/scripts/rig"
)

// cell is one fault in one mode.
type cell struct {
	Bench      string  `json:"bench"`
	Case       string  `json:"case"` // the fault
	Mode       string  `json:"mode"`
	InForce    string  `json:"in_force"`    // the mode that the station was in when the fault came
	Blocked    int     `json:"blocked"`     // moments at which the view could not be seen, and times at which the station did not open in need
	OpenedMS   float64 `json:"opened_ms"`   // from the emergency button, or the agent's death, until a key reached the machine
	Tap        string  `json:"tap"`         // what came of a tap during the fault
	DaySeconds int64   `json:"day_seconds"` // by tapaudit coverage
	Named      int64   `json:"named_s"`     // of them
	Emergency  int64   `json:"emergency_s"` // of them
	Verified   bool    `json:"verified"`    // by tapaudit verify
	Records    int     `json:"records"`     // in the journal
	Seconds    float64 `json:"seconds"`
}

const (
	openWithin = 2 * time.Second  // a station that is needed must open
	tapWithin  = 4 * time.Second  // a tap must be answered on the screen
	healWithin = 30 * time.Second // all must be well again
	wholeDay   = 86_400           // seconds
)

// faults goes through the matrix: each fault in each mode, with a station of its own.
func (b *bench) faults(ctx context.Context) error {
	if b.markdown {
		fmt.Fprint(b.out, "| fault | mode in force | blocked | opened after, ms | a tap meanwhile | day, s | evidence |\n|---|---|---|---|---|---|---|\n")
		b.report = func(r any) error {
			c := r.(cell)
			_, err := fmt.Fprintf(b.out, "| %s | %s | %d | %.0f | %s | %d | %s |\n", c.Case, c.InForce, c.Blocked, c.OpenedMS, c.Tap, c.DaySeconds, verdict(c.Verified))
			return err
		}
	}
	if slices.Contains(b.modes, "lock") && os.Getenv(inContainer) == "" {
		return b.contained(ctx)
	}
	for _, mode := range b.modes {
		for _, f := range b.matrix() {
			if len(b.only) > 0 && !slices.Contains(b.only, f.name) {
				continue
			}
			c, err := b.faultIn(ctx, f, mode)
			if err != nil {
				return fmt.Errorf("%s in mode %s: %w", f.name, mode, err)
			}
			if err := b.report(c); err != nil {
				return err
			}
			if c.Blocked > 0 || c.DaySeconds != wholeDay || !c.Verified {
				b.broken = append(b.broken, f.name+" in mode "+mode)
			}
		}
	}
	if len(b.broken) > 0 {
		return fmt.Errorf("the never-block contract, the day's sum or the evidence does not hold: %s", strings.Join(b.broken, ", "))
	}
	return nil
}

// inContainer marks the environment of the benchmark that contained runs.
const inContainer = "TAPLINE_BENCH_CONTAINER"

// contained runs the same benchmark in a container: locking takes a logind whose sessions may be locked, and a PAM whose files may be changed.
func (b *bench) contained(ctx context.Context) (err error) {
	c, err := rig.Boot(ctx, b.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	bin := filepath.Join(c.Share, "bin")
	for _, args := range [][]string{
		{"cp", "-r", b.bin, bin},
		{"gcc", "-O2", "-shared", "-fPIC", "-o", filepath.Join(c.Share, "pam_tapline.so"), "installer/linux/pam/pam_tapline.c", "-lpam"},
	} {
		if out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", args[0], err, out)
		}
	}
	if _, err := c.Sh(ctx, `useradd -m -s /bin/sh `+hmi+` && cp /share/pam_tapline.so "$(dirname "$(find /usr/lib /lib -name pam_permit.so | head -n 1)")"/
printf 'auth required pam_permit.so\naccount required pam_permit.so\nsession required pam_systemd.so class=user type=x11\n' >/etc/pam.d/desk`); err != nil {
		return err
	}
	args := []string{inContainer + "=1", "/share/bin/tapbench", "faults", "--mode", strings.Join(b.modes, ",")}
	if len(b.only) > 0 {
		args = append(args, "--fault", strings.Join(b.only, ","))
	}
	switch {
	case b.markdown:
		args = append(args, "--markdown")
	case b.asJSON:
		args = append(args, "--json")
	}
	return c.Run(ctx, b.out, b.say, append([]string{"env", "-u", "TAPLINE_PRIVATE_PCSC"}, args...)...)
}

func verdict(verified bool) string {
	if verified {
		return "verifies"
	}
	return "BAD"
}

// faultIn has one fault happen at a station where nobody is, which is when input waits for a tap.
func (b *bench) faultIn(ctx context.Context, f fault, mode string) (c cell, err error) {
	begun := time.Now()
	c = cell{Bench: "faults", Case: f.name, Mode: mode, Tap: "none"}
	w, err := b.ward(ctx, mode)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, w.close(ctx)) }()
	if err := w.settle(ctx, mode); err != nil {
		return c, err
	}
	if c.InForce, err = w.modeInForce(ctx); err != nil {
		return c, err
	}
	_, hiddenBefore := w.desk.Looks()
	if err := f.inject(ctx, w); err != nil {
		return c, fmt.Errorf("inject: %w", err)
	}
	opened, err := w.need(ctx, f)
	if err != nil {
		return c, err
	}
	c.OpenedMS = milliseconds(opened)
	if opened > openWithin {
		c.Blocked++
	}
	if !f.dead {
		c.Tap = w.tapDuring(ctx)
	}
	if err := f.heal(ctx, w); err != nil {
		return c, fmt.Errorf("heal: %w", err)
	}
	if err := w.recovered(ctx); err != nil {
		return c, fmt.Errorf("after the fault: %w", err)
	}
	if mode != "lock" { // a locker hides the view, which is what it is for
		_, hidden := w.desk.Looks()
		c.Blocked += int(hidden - hiddenBefore)
	}
	if err := w.audit(ctx, &c); err != nil {
		return c, err
	}
	c.Seconds = time.Since(begun).Seconds()
	return c, nil
}

// need is somebody who needs the machine now, badge or not: how long until a key of theirs reaches it.
func (w *ward) need(ctx context.Context, f fault) (time.Duration, error) {
	begun := time.Now()
	if !f.dead {
		if err := w.emergency(ctx); err != nil {
			return 0, fmt.Errorf("emergency: %w", err)
		}
	}
	if !w.desk.Usable(ctx, 5*openWithin) {
		return 5 * openWithin, nil
	}
	return time.Since(begun), nil
}

// tapDuring says what the screen answered to a tap.
func (w *ward) tapDuring(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, tapWithin)
	defer cancel()
	seen, err := w.station.Tap(ctx, 0, w.crew[1].UID, func(s rig.Seen) bool {
		return rig.Named(w.crew[1].ID)(s) || s.Presence.GetPerson().GetId() == w.crew[1].ID || s.Notice.GetRefusal() != 0
	})
	switch cause := seen.Notice.GetRefusal(); {
	case err != nil:
		return "no answer"
	case cause != 0:
		return "refused: " + strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(cause.String(), "REFUSAL_CAUSE_"), "_", "-"))
	case !rig.Named(w.crew[1].ID)(seen):
		return "named, not recorded yet"
	}
	return "named"
}

// audit stops the agent and holds its journal to the day.
func (w *ward) audit(ctx context.Context, c *cell) error {
	if err := w.station.Agent.Stop(); err != nil {
		return err
	}
	journal := w.station.Journal()
	said, err := w.plant.Run(ctx, "tapaudit", "verify", journal, "-o", "json")
	c.Verified = err == nil
	if err != nil {
		fmt.Fprintln(w.say, err)
	}
	var sum struct {
		Records int `json:"records"`
	}
	_ = json.Unmarshal([]byte(said), &sum) // its form is tapaudit's affair; the figure is an extra
	c.Records = sum.Records
	out, err := w.plant.Run(ctx, "tapaudit", "coverage", journal, "--from", w.begun.Format(time.DateOnly), "--to", w.begun.Add(sleep).Format(time.DateOnly), "-o", "json")
	if err != nil {
		return err
	}
	c.DaySeconds = wholeDay
	for line := range strings.Lines(out) {
		var day struct {
			Named, Emergency, Unattributed, Idle int64
			AgentDown                            int64 `json:"agent_down"`
		}
		if err := json.Unmarshal([]byte(line), &day); err != nil {
			return fmt.Errorf("tapaudit coverage said %q: %w", line, err)
		}
		if all := day.Named + day.Emergency + day.Unattributed + day.Idle + day.AgentDown; all != wholeDay {
			c.DaySeconds = all
		}
		c.Named, c.Emergency = c.Named+day.Named, c.Emergency+day.Emergency
	}
	return nil
}

// fault is something that happens, and what ends it. While it lasts a dead agent cannot be asked.
type fault struct {
	name         string
	inject, heal func(context.Context, *ward) error
	dead         bool
}

const sleep = 15 * 24 * time.Hour // longer than any bundle is good

// matrix is every fault.
func (b *bench) matrix() []fault {
	nothing := func(context.Context, *ward) error { return nil }
	return []fault{
		{name: "none", inject: nothing, heal: nothing},
		{
			name: "agent killed", dead: true,
			inject: func(_ context.Context, w *ward) error { return w.station.Agent.Kill() },
			heal:   func(ctx context.Context, w *ward) error { return w.station.Start(ctx) },
		},
		{
			name:   "broker gone",
			inject: func(_ context.Context, w *ward) error { return w.plant.Broker.Kill() },
			heal:   func(ctx context.Context, w *ward) error { return w.plant.StartBroker(ctx) },
		},
		{
			name:   "black-holed",
			inject: func(ctx context.Context, w *ward) error { return w.cable.Cut(ctx) },
			heal:   func(ctx context.Context, w *ward) error { return w.cable.Mend(ctx) },
		},
		{
			name: "disk full",
			inject: func(_ context.Context, w *ward) error {
				_ = os.WriteFile(filepath.Join(w.disk, "hog"), make([]byte, diskSize), 0o600) // fails when it has taken all
				return nil
			},
			heal: func(_ context.Context, w *ward) error { return os.Remove(filepath.Join(w.disk, "hog")) },
		},
		{
			name: "read-only",
			inject: func(ctx context.Context, w *ward) error {
				return w.spoil(ctx, "pwrite64,pwritev,fallocate,ftruncate,rename,renameat,renameat2,mkdirat,unlinkat,fsync,fdatasync:error=EROFS")
			},
			heal: func(_ context.Context, w *ward) error { return w.unspoil() },
		},
		{
			name:   "fsync error",
			inject: func(ctx context.Context, w *ward) error { return w.spoil(ctx, "fsync,fdatasync:error=EIO") },
			heal:   func(_ context.Context, w *ward) error { return w.unspoil() },
		},
		{
			name:   "reader pulled",
			inject: func(_ context.Context, w *ward) error { return w.serial.pull() },
			heal:   func(_ context.Context, w *ward) error { return w.serial.plug() },
		},
		{
			name:   "pcscd killed",
			inject: func(_ context.Context, w *ward) error { return w.plant.PCSC.Kill() },
			heal:   func(_ context.Context, w *ward) error { return w.plant.PCSC.Restart() },
		},
		{
			name:   "clock rolled back",
			inject: func(ctx context.Context, w *ward) error { return moveClock(ctx, w.clock, -2*time.Hour, 0) },
			heal:   func(ctx context.Context, w *ward) error { return moveClock(ctx, w.clock, 0, 0) },
		},
		{
			name:   "clock rolled forward",
			inject: func(ctx context.Context, w *ward) error { return moveClock(ctx, w.clock, 2*time.Hour, 0) },
			heal:   func(ctx context.Context, w *ward) error { return moveClock(ctx, w.clock, 0, 0) },
		},
		{
			name: "bundle expired", // the machine slept away from its broker
			inject: func(ctx context.Context, w *ward) error {
				return errors.Join(w.plant.Broker.Kill(), w.station.AwaitBroker(ctx, false), moveClock(ctx, w.clock, sleep, sleep))
			},
			heal: func(ctx context.Context, w *ward) error {
				return errors.Join(moveClock(ctx, w.clock, 0, sleep), w.plant.StartBroker(ctx))
			},
		},
		{
			name:   "bundle rolled back",
			inject: func(ctx context.Context, w *ward) error { return w.rollBackBundle(ctx) },
			heal:   func(ctx context.Context, w *ward) error { return w.plant.StartBroker(ctx) },
		},
		{
			name:   "X server restarted",
			inject: func(ctx context.Context, w *ward) error { return w.desk.Restart(ctx) },
			heal:   nothing,
		},
	}
}
