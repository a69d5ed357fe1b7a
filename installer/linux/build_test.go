//go:build linux

package linux

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// buildPackages runs the build script for a release whose programs lie in bin, and returns the folder of its output.
func buildPackages(t *testing.T, version, bin string) string {
	t.Helper()
	out := t.TempDir()
	if text, err := exec.Command("./build", version, out, bin).CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, text)
	}
	return out
}

// fakePrograms are files in the place of the four programs: enough for what is in a package, not to be run.
func fakePrograms(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	for _, program := range []string{"tapagent", "tapbroker", "tapctl", "tapaudit"} {
		if err := os.WriteFile(filepath.Join(bin, program), []byte("program "+program+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return bin
}

func TestPackagesHoldTheRightFilesWithTheRightRights(t *testing.T) {
	if _, err := os.Stat("/usr/include/security/pam_modules.h"); err != nil {
		t.Skip("needs: libpam0g-dev")
	}
	out := buildPackages(t, "v1.2.0", fakePrograms(t))
	t.Run("debian agent", func(t *testing.T) {
		need(t, "dpkg-deb", "dpkg")
		wantList(t, debFiles(t, filepath.Join(out, "tapline-agent_1.2.0_amd64.deb")), `
-rw-r----- root/tapline /etc/tapline/agent.yaml
-rw-r--r-- root/root /etc/xdg/autostart/tapline-gate.desktop
-rwxr-xr-x root/root /usr/bin/tapagent
-rw-r--r-- root/root /usr/lib/systemd/system/tapline-agent.service
-rw-r--r-- root/root /usr/lib/systemd/user/tapline-gate.service
-rw-r--r-- root/root /usr/lib/x86_64-linux-gnu/security/pam_tapline.so
-rw-r--r-- root/root /usr/share/doc/tapline-agent/copyright
-rw-r--r-- root/root /usr/share/polkit-1/rules.d/50-tapline-agent.rules`)
		wantField(t, filepath.Join(out, "tapline-agent_1.2.0_amd64.deb"), "Depends", "libc6 (>= 2.34), libpcsclite1, pcscd, passwd")
	})
	t.Run("debian broker", func(t *testing.T) {
		need(t, "dpkg-deb", "dpkg")
		wantList(t, debFiles(t, filepath.Join(out, "tapline-broker_1.2.0_amd64.deb")), `
-rw-r----- root/tapline-broker /etc/tapline/broker.yaml
-rwxr-xr-x root/root /usr/bin/tapaudit
-rwxr-xr-x root/root /usr/bin/tapbroker
-rwxr-xr-x root/root /usr/bin/tapctl
-rw-r--r-- root/root /usr/lib/systemd/system/tapline-broker.service
-rw-r--r-- root/root /usr/share/doc/tapline-broker/copyright`)
		wantField(t, filepath.Join(out, "tapline-broker_1.2.0_amd64.deb"), "Version", "1.2.0")
	})
	t.Run("rpm agent", func(t *testing.T) {
		need(t, "rpm", "rpm")
		wantList(t, rpmFiles(t, filepath.Join(out, "tapline-agent-1.2.0-1.x86_64.rpm")), `
/etc/tapline 040755 root/root isconfig=0
/etc/tapline/agent.yaml 0100640 root/tapline isconfig=1
/etc/xdg/autostart/tapline-gate.desktop 0100644 root/root isconfig=0
/usr/bin/tapagent 0100755 root/root isconfig=0
/usr/lib/systemd/system/tapline-agent.service 0100644 root/root isconfig=0
/usr/lib/systemd/user/tapline-gate.service 0100644 root/root isconfig=0
/usr/lib64/security/pam_tapline.so 0100644 root/root isconfig=0
/usr/share/doc/tapline-agent/copyright 0100644 root/root isconfig=0
/usr/share/polkit-1/rules.d/50-tapline-agent.rules 0100644 root/root isconfig=0`)
	})
	t.Run("rpm broker", func(t *testing.T) {
		need(t, "rpm", "rpm")
		wantList(t, rpmFiles(t, filepath.Join(out, "tapline-broker-1.2.0-1.x86_64.rpm")), `
/etc/tapline 040755 root/root isconfig=0
/etc/tapline/broker.yaml 0100640 root/tapline-broker isconfig=1
/usr/bin/tapaudit 0100755 root/root isconfig=0
/usr/bin/tapbroker 0100755 root/root isconfig=0
/usr/bin/tapctl 0100755 root/root isconfig=0
/usr/lib/systemd/system/tapline-broker.service 0100644 root/root isconfig=0
/usr/share/doc/tapline-broker/copyright 0100644 root/root isconfig=0`)
	})
}

func TestSameInputsGiveTheSameBytes(t *testing.T) {
	first := buildPackages(t, "1.2.0", fakePrograms(t))
	second := buildPackages(t, "1.2.0", fakePrograms(t)) // written anew: other times, other folder
	packages, err := filepath.Glob(filepath.Join(first, "*"))
	if err != nil || len(packages) != 4 {
		t.Fatalf("built %q, %v; want four packages", packages, err)
	}
	for _, path := range packages {
		a, errA := os.ReadFile(path)
		b, errB := os.ReadFile(filepath.Join(second, filepath.Base(path)))
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs between two builds (%v, %v)", filepath.Base(path), errA, errB)
		}
	}
}

func TestBuildSaysWhatIsMissing(t *testing.T) {
	out, err := exec.Command("./build", "1.2.0", t.TempDir(), t.TempDir()).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "tapagent is missing") || !strings.Contains(string(out), "hint: ") {
		t.Errorf("build without programs: %v\n%s", err, out)
	}
}

func TestScriptsAreShell(t *testing.T) {
	for _, script := range []string{"preinst", "postinst", "prerm", "postrm"} {
		if out, err := exec.Command("sh", "-n", filepath.Join("scripts", script)).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
	}
}

// need skips a test for want of a program, and names the Debian package that brings it.
func need(t *testing.T, program, debian string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skip("needs: " + debian)
	}
}

func output(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).Output()
	if err != nil {
		t.Fatalf("%s %q: %v", program, args, err)
	}
	return string(out)
}

// debFiles lists the files, not the folders: "rights owner/group path".
func debFiles(t *testing.T, path string) []string {
	t.Helper()
	var files []string
	for line := range strings.Lines(output(t, "dpkg-deb", "-c", path)) {
		f := strings.Fields(line)
		if len(f) == 6 && f[0][0] != 'd' {
			files = append(files, f[0]+" "+f[1]+" "+strings.TrimPrefix(f[5], "."))
		}
	}
	return files
}

func rpmFiles(t *testing.T, path string) []string {
	t.Helper()
	var files []string
	for line := range strings.Lines(output(t, "rpm", "-qp", "--dump", path)) {
		f := strings.Fields(line) // path size mtime digest mode owner group isconfig isdoc rdev symlink
		files = append(files, f[0]+" "+f[4]+" "+f[5]+"/"+f[6]+" isconfig="+f[7])
	}
	return files
}

func wantList(t *testing.T, got []string, want string) {
	t.Helper()
	if diff := cmp.Diff(strings.Split(strings.TrimSpace(want), "\n"), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func wantField(t *testing.T, path, field, want string) {
	t.Helper()
	if got := strings.TrimSpace(output(t, "dpkg-deb", "-f", path, field)); got != want {
		t.Errorf("%s of %s = %q, want %q", field, filepath.Base(path), got, want)
	}
}
