//go:build linux

package linux

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestLifeOfThePackages installs, upgrades, removes and purges both packages under a real systemd. The programs in them
// are the stand-in of installer/testdata: real services by osservice, with nothing behind them.
func TestLifeOfThePackages(t *testing.T) {
	r := bootRig(t)
	for _, version := range []string{"1.0.0", "1.1.0"} {
		out := buildPackages(t, version, standIns(t, version))
		for _, part := range []string{"agent", "broker"} {
			name := "tapline-" + part + "_" + version + "_amd64.deb"
			if err := os.Rename(filepath.Join(out, name), filepath.Join(r.share, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Dependencies are of the real programs, not of the stand-in.
	const install = "dpkg --force-depends -i /share/"
	const life = "cat /var/lib/tapline-agent/life"

	step(t, r, "a fresh install is enabled, closed to others, and not started", func() {
		r.ends(install+"tapline-agent_1.0.0_amd64.deb", 0, "installed and not started yet")
		r.does("systemctl is-enabled tapline-agent", "enabled")
		r.ends("tapagent service status", 7, "stopped")
		r.does("stat -c '%a %U:%G' /etc/tapline /etc/tapline/agent.yaml /var/lib/tapline-agent",
			"755 root:root\n640 root:tapline\n700 tapline:tapline")
	})
	step(t, r, "a token that root hands over is used at the first start and destroyed", func() {
		r.does("echo one-use | tapagent configure --broker broker.example:8443 --token-stdin", "")
		r.does("stat -c '%a %U' /var/lib/tapline-agent/enrol.token", "600 tapline")
		r.does("systemctl start tapline-agent && ls -A /var/lib/tapline-agent", "life")
		r.does(life, "enrolled with broker.example:8443\nstarted 1.0.0")
	})
	step(t, r, "it runs as its own account, reloads on request, and comes back when killed", func() {
		r.does("stat -c %U /proc/$(systemctl show -P MainPID tapline-agent)", "tapline")
		r.does("systemctl reload tapline-agent; tail -n 1 /var/lib/tapline-agent/life", "reloaded")
		r.does(`kill -9 $(systemctl show -P MainPID tapline-agent)
			for i in $(seq 100); do sleep .1; [ $(systemctl show -P NRestarts tapline-agent) = 0 ] || break; done
			systemctl start tapline-agent; systemctl show -P NRestarts tapline-agent; systemctl is-active tapline-agent`, "1\nactive")
	})
	step(t, r, "the service verbs respect the package", func() {
		r.does("tapagent service status", "running")
		r.ends("tapagent service install", 6, "hint: ")
		r.ends("tapagent service uninstall", 1, "belongs to a package")
		r.does("tapagent service restart", "service tapline-agent restarted")
	})
	step(t, r, "an upgrade restarts what runs and keeps an edited configuration", func() {
		r.does("echo '# edited' >>/etc/tapline/agent.yaml", "")
		r.ends(install+"tapline-agent_1.1.0_amd64.deb </dev/null", 0, "")
		r.does("systemctl is-active tapline-agent; tail -n 2 /var/lib/tapline-agent/life; tail -n 1 /etc/tapline/agent.yaml",
			"active\nstopped 1.0.0\nstarted 1.1.0\n# edited")
	})
	step(t, r, "a removal stops it and keeps configuration and state", func() {
		r.ends("dpkg -r tapline-agent", 0, "")
		r.ends("systemctl is-active tapline-agent", 3, "inactive")
		r.does("tail -n 1 -q /etc/tapline/agent.yaml /var/lib/tapline-agent/life", "# edited\nstopped 1.1.0")
	})
	step(t, r, "a second install after a removal is enabled again", func() {
		r.ends(install+"tapline-agent_1.1.0_amd64.deb </dev/null", 0, "")
		r.does("systemctl is-enabled tapline-agent", "enabled")
	})
	step(t, r, "a purge leaves nothing but the account", func() {
		r.ends("dpkg -P tapline-agent", 0, "")
		r.does("ls -d /etc/tapline /var/lib/tapline-agent /etc/systemd/system/*/tapline-agent.service 2>/dev/null; id -un tapline", "tapline")
	})
	step(t, r, "the purge of a broker keeps the evidence", func() {
		r.ends(install+"tapline-broker_1.1.0_amd64.deb", 0, "installed and not started yet")
		r.does("systemctl start tapline-broker && cat /var/lib/tapline-broker/life", "started 1.1.0")
		r.ends("dpkg -P tapline-broker", 0, "holds the evidence of the plant and stays")
		r.does("ls -d /etc/tapline 2>/dev/null; tail -n 1 /var/lib/tapline-broker/life", "stopped 1.1.0")
	})
	serviceWithoutPackage(t, r)
}

// serviceWithoutPackage is osservice against a real systemd: what "service install" does on a machine that got the program
// by hand.
func serviceWithoutPackage(t *testing.T, r *rig) {
	step(t, r, "a program without a package installs, runs and removes itself", func() {
		const agent = "/usr/local/bin/tapagent service "
		r.does("dpkg-deb --fsys-tarfile /share/tapline-agent_1.1.0_amd64.deb | tar -x -O ./usr/bin/tapagent >/usr/local/bin/tapagent; chmod 755 /usr/local/bin/tapagent", "")
		r.ends(agent+"status", 5, "not installed")
		r.ends(agent+"start", 5, "hint: ")
		r.does(agent+"install", "service tapline-agent installed")
		r.ends(agent+"install", 6, "already installed")
		r.ends("setpriv --reuid=65534 "+agent+"start", 4, "hint: ")
		r.does(agent+"start; systemctl is-enabled tapline-agent; "+agent+"status", "service tapline-agent started\nenabled\nrunning")
		r.does(agent+"stop", "service tapline-agent stopped")
		r.does("cat /var/lib/tapline-agent/life", "started 1.1.0\nstopped 1.1.0")
		r.does(agent+"start; "+agent+"uninstall", "service tapline-agent started\nservice tapline-agent uninstalled")
		r.ends(agent+"status", 5, "not installed")
	})
}

// step is one sentence of the story. Steps build on each other, so the first that fails ends the test.
func step(t *testing.T, r *rig, sentence string, do func()) {
	t.Helper()
	if !t.Run(sentence, func(t *testing.T) {
		r.t = t
		do()
	}) {
		t.FailNow()
	}
}

// standIns builds the stand-in of one release and lays it down under the names of all four programs.
func standIns(t *testing.T, version string) string {
	t.Helper()
	bin := t.TempDir()
	build := exec.Command("go", "build", "-ldflags", "-s -w -X main.version="+version,
		"-o", filepath.Join(bin, "tapagent"), "../testdata/standin")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build stand-in: %v\n%s", err, out)
	}
	for _, program := range []string{"tapbroker", "tapctl", "tapaudit"} {
		if err := os.Link(filepath.Join(bin, "tapagent"), filepath.Join(bin, program)); err != nil {
			t.Fatal(err)
		}
	}
	return bin
}
