//go:build linux

package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapline/scripts/rig"
)

// stationRig is a container with a real systemd, logind, PAM, pcscd and X server, into which the packages are installed.
type stationRig struct {
	t *testing.T
	c *rig.Container
}

// sh runs a script inside, which must end well.
func (r *stationRig) sh(script string) string {
	r.t.Helper()
	out, err := r.c.Sh(r.t.Context(), script)
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

// says runs a script, which must print want somewhere.
func (r *stationRig) says(script, want string) {
	r.t.Helper()
	if out, _ := r.c.Sh(r.t.Context(), script); !strings.Contains(out, want) {
		r.t.Errorf("%s\nprinted %q, want %q in it", script, out, want)
	}
}

// soon waits until a script ends well.
func (r *stationRig) soon(what, script string) {
	r.t.Helper()
	until := time.Now().Add(time.Minute)
	for {
		out, err := r.c.Sh(r.t.Context(), script)
		if err == nil {
			return
		}
		if time.Now().After(until) {
			status, _ := r.c.Sh(r.t.Context(), "tapagent status -o json; journalctl -n 40 --no-pager -u tapline-agent -u desk; pgrep -a xss-lock; loginctl list-sessions")
			r.t.Fatalf("waited in vain: %s: %v\n%s\n%s", what, err, out, status)
		}
		pause(r.t.Context(), 100*time.Millisecond)
	}
}

// tap lays a badge on the reader of the container's own pcscd, and waits until the station shows what follows from it.
func (r *stationRig) tap(uid, shows string) {
	r.t.Helper()
	r.sh("/share/tapcard --port 35963 --uid " + uid)
	r.soon("the station shows "+shows, "tapagent status | grep -q '"+shows+"'")
}

// typed reports whether a key reaches the terminal on the station's screen.
func (r *stationRig) typed() bool {
	r.t.Helper()
	r.sh("rm -f /tmp/typed; touch /tmp/typed; chown hmi /tmp/typed")
	for range 5 {
		_, _ = r.c.Sh(r.t.Context(), "DISPLAY=:7 xdotool type x; DISPLAY=:7 xdotool key Return")
		pause(r.t.Context(), 100*time.Millisecond)
	}
	return r.sh("cat /tmp/typed") != ""
}

// signsIn asks PAM, as a login does.
func (r *stationRig) signsIn() bool {
	_, err := r.c.Sh(r.t.Context(), "pamtester press hmi authenticate </dev/null")
	return err == nil
}

// TestAStationOnARealSystem is the life of a station on a real system, told by its commands: installed from the packages, tapped at through pcscd,
// its input held and let go, its sign-in asked, its evidence verified.
func TestAStationOnARealSystem(t *testing.T) {
	r := bootStation(t)
	r.install()
	r.furnish()

	const anna, ben = "04a75c00003e80", "04a75c00013e80"
	step := func(sentence string, do func()) {
		t.Helper()
		if !t.Run(sentence, func(t *testing.T) { r.t = t; do() }) {
			t.FailNow()
		}
		r.t = t
	}
	step("nobody has tapped: the view is there, keys do not reach it, and nobody signs in", func() {
		r.soon("the gate holds the input", "tapagent status -o json | jq -e '.mode.in_force == \"MODE_GATE\"'")
		if r.typed() {
			t.Error("a key reached the machine")
		}
	})
	step("Anna taps: keys reach it", func() {
		r.tap(anna, "Anna B.")
		if !r.typed() {
			t.Error("no key reached the machine")
		}
	})
	step("Ben takes over, in one record", func() {
		r.tap(ben, "Ben C.")
		r.soon("a hand-over is on record", "tapaudit cat --payload /var/lib/tapline-agent/journal | grep session.handed-over | grep p-1001 | grep -q p-1002")
	})
	step("the emergency opens a station where nobody is", func() {
		r.sh("tapagent end")
		r.soon("nobody is there", "tapagent status -o json | jq -e '.presence.person == null'")
		r.sh("tapagent emergency begin --reason alarm")
		if !r.typed() {
			t.Error("no key reached the machine in an emergency")
		}
		r.tap(anna, "Anna B.")
	})
	step("the system's sign-in lets in who has tapped, and nobody else", func() {
		r.sh("sed -i 's/^mode: gate/mode: signin/' /etc/tapline/agent.yaml && systemctl reload tapline-agent")
		r.soon("the mode is sign-in", "tapagent status -o json | jq -e '.mode.in_force == \"MODE_SIGNIN\"'")
		if !r.signsIn() {
			t.Error("Anna is there, and the sign-in is refused")
		}
		r.sh("tapagent end")
		if r.signsIn() {
			t.Error("nobody is there, and the sign-in is allowed")
		}
	})
	step("in the mode lock a locker is up while nobody is there; a tap takes it away", func() {
		r.sh("sed -i 's/^mode: signin/mode: lock/' /etc/tapline/agent.yaml && systemctl reload tapline-agent")
		r.soon("the mode is lock", "tapagent status -o json | jq -e '.mode.in_force == \"MODE_LOCK\"' && pgrep -x i3lock")
		if r.typed() {
			t.Error("a key reached the machine through the locker")
		}
		r.tap(anna, "Anna B.")
		r.soon("the locker is gone", "! pgrep -x i3lock")
		if !r.typed() {
			t.Error("no key reached the machine")
		}
		r.sh("tapagent end")
		r.soon("the locker is up again", "pgrep -x i3lock")
		r.sh("pkill -x i3lock")
		r.soon("a locker that somebody killed is up again", "pgrep -x i3lock")
	})
	step("an emergency takes the locker away, and without any locker the station falls back to the gate and says why", func() {
		r.sh("tapagent emergency begin --reason alarm")
		r.soon("the locker is gone", "! pgrep -x i3lock")
		r.tap(ben, "Ben C.")
		r.sh("tapagent end; pkill -x xss-lock; pkill -x i3lock; true")
		r.soon("the station falls back", "tapagent status -o json | jq -e '.mode.in_force == \"MODE_GATE\" and .mode.reason == \"no-locker\"'")
	})
	step("the records are at the broker, and the evidence verifies without it", func() {
		r.soon("everything has its receipt", "tapagent status -o json | jq -e '.journal.seq == .journal.acked'")
		r.sh("cd /tmp && tapctl --identity /var/lib/tapline-broker/admin export evidence && tapaudit verify evidence")
		r.sh("tapaudit verify /var/lib/tapline-agent/journal")
		for _, kind := range []string{"session.opened", "session.handed-over", "emergency.opened", "mode.changed", "reader.attached"} {
			r.says("tapaudit cat --payload /tmp/evidence", kind)
		}
	})
}

// bootStation boots the container, or skips and says what is missing.
func bootStation(t *testing.T) *stationRig {
	t.Helper()
	if os.Getenv("TAPLINE_SUITE") == "quick" {
		t.Skip("needs: full suite")
	}
	if programs == "" {
		t.Skip("needs: " + missing)
	}
	if os.Geteuid() != 0 {
		t.Skip("needs: root")
	}
	for program, debian := range map[string]string{
		"systemd-nspawn": "systemd-container", "Xvfb": "xvfb", "xdotool": "xdotool", "xterm": "xterm", "pamtester": "pamtester", "i3lock": "i3lock", "xss-lock": "xss-lock", "dpkg": "dpkg", "jq": "jq",
	} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("needs: " + debian)
		}
	}
	c, err := rig.Boot(t.Context(), t.TempDir())
	if errors.Is(err, rig.ErrNoContainer) {
		t.Skipf("needs: a machine where systemd-nspawn can boot: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return &stationRig{t, c}
}

// install installs broker and agent from their packages, as an administrator does.
func (r *stationRig) install() {
	r.t.Helper()
	if out, err := exec.Command("../../installer/linux/build", "1.0.0", r.c.Share, programs).CombinedOutput(); err != nil {
		r.t.Fatalf("build the packages: %v\n%s", err, out)
	}
	if out, err := exec.Command("go", "build", "-o", filepath.Join(r.c.Share, "tapcard"), "tapline/reader/vcard/cmd/tapcard").CombinedOutput(); err != nil {
		r.t.Fatalf("build tapcard: %v\n%s", err, out)
	}
	const ctl = "tapctl --identity /var/lib/tapline-broker/admin "
	r.sh("useradd -m -s /bin/sh hmi; systemctl start pcscd.socket")
	r.sh("dpkg -i /share/tapline-broker_1.0.0_amd64.deb /share/tapline-agent_1.0.0_amd64.deb")
	r.sh("printf 'listen: 127.0.0.1:8443\\nhosts: [127.0.0.1]\\nsite: plant\\n' >/etc/tapline/broker.yaml && tapbroker check --config /etc/tapline/broker.yaml && systemctl start tapline-broker")
	r.soon("the broker answers", ctl+"status")
	r.sh(ctl + "account put press-hmi --station plant/")
	for _, p := range rig.People(2) {
		r.sh(ctl + "person put " + p.ID + " --name '" + p.Name + "' --role operator")
	}
	r.sh(ctl + "badge assign p-1001 --uid 04a75c00003e80 && " + ctl + "badge assign p-1002 --uid 04a75c00013e80")
	r.sh(ctl + "station put plant/press/line-4/hmi-1 --account press-hmi --mode signin")
	r.sh("printf 'mode: gate\\ngate: {user: hmi}\\nsignin: {accounts: [hmi]}\\nsession: {bounce: 500ms}\\n' >/etc/tapline/agent.yaml")
	r.sh(ctl + "token create plant/press/line-4/hmi-1 | tapagent enrol && systemctl start tapline-agent")
}

// furnish gives the station its screen, in a session of the shared account, and its sign-in.
func (r *stationRig) furnish() {
	r.t.Helper()
	r.sh(`printf 'auth required pam_permit.so\naccount required pam_permit.so\nsession required pam_systemd.so class=user type=x11\n' >/etc/pam.d/desk
printf 'auth [success=done auth_err=die default=ignore] pam_tapline.so\nauth required pam_deny.so\naccount required pam_permit.so\n' >/etc/pam.d/press
cat >/usr/local/bin/desk <<'D'
#!/bin/sh
Xvfb :7 -screen 0 800x480x24 -noreset &
export DISPLAY=:7
until xdotool getmouselocation >/dev/null 2>&1; do sleep .1; done
xterm -geometry 100x20+0+120 -e sh -c 'while read -r line; do echo "$line" >>/tmp/typed; done' &
xss-lock --session=$XDG_SESSION_ID -- i3lock -n -c 202020 &
exec tapagent gate
D
chmod 755 /usr/local/bin/desk
systemd-run -q --unit=desk -p LimitMEMLOCK=infinity -p PAMName=desk -p User=hmi /usr/local/bin/desk`)
	r.soon("the terminal is on the screen", "DISPLAY=:7 xdotool search --onlyvisible --class xterm && DISPLAY=:7 xdotool mousemove 300 300")
	r.soon("the station has its reader and its grants", "tapagent status -o json | jq -e '.broker.connected and .bundle.sequence != null and (.readers | any(.attached))'")
}
