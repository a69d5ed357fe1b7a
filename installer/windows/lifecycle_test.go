//go:build linux

package windows

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLifeOfTheMSI installs, upgrades and removes the agent's MSI under wine. The program in it is the stand-in of
// installer/testdata: a real service by osservice, with nothing behind it.
func TestLifeOfTheMSI(t *testing.T) {
	needMSITools(t)
	w := bootWine(t)
	w.build(w.program("exitcode.exe"), "./testdata/exitcode", "")
	msi := map[string]string{}
	for _, version := range []string{"1.0.0", "1.1.0"} {
		exe := filepath.Join(t.TempDir(), "tapagent.exe")
		w.build(exe, "../testdata/standin", "-X main.version="+version)
		msi[version] = "Z:" + buildMSI(t, version, exe)
	}
	const agent = "drive_c/Program Files/Tapline/tapagent.exe"
	const folder = "drive_c/ProgramData/Tapline/Agent"
	life := func() []string {
		content, _ := os.ReadFile(filepath.Join(w.prefix, folder, "life"))
		return strings.Split(strings.TrimSpace(string(content)), "\n")
	}
	want := func(t *testing.T, got, want int) {
		t.Helper()
		if got != want {
			t.Errorf("ended %d, want %d", got, want)
		}
	}
	wantLife := func(t *testing.T, lines ...string) {
		t.Helper()
		if diff := cmp.Diff(lines, life()); diff != "" {
			t.Errorf("life of the service (-want +got):\n%s", diff)
		}
	}
	step(t, "without a broker nothing is installed", func(t *testing.T) {
		want(t, w.msiexec("/i", msi["1.0.0"], "/qn"), 1603)
		wantGone(t, filepath.Join(w.prefix, agent))
	})
	step(t, "with broker and token the service enrols at its first start", func(t *testing.T) {
		want(t, w.msiexec("/i", msi["1.0.0"], "/qn", "BROKER=broker.example:8443", "TOKEN=one-use"), 0)
		wantLife(t, "enrolled with broker.example:8443", "started 1.0.0")
		wantGone(t, filepath.Join(w.prefix, folder, "enrol.token"))
		want(t, w.run(t, "service", "status"), 0)
	})
	step(t, "an upgrade needs no properties and restarts the service", func(t *testing.T) {
		want(t, w.msiexec("/i", msi["1.1.0"], "/qn"), 0)
		wantLife(t, "enrolled with broker.example:8443", "started 1.0.0", "stopped 1.0.0", "started 1.1.0")
	})
	step(t, "a downgrade is refused and changes nothing", func(t *testing.T) {
		want(t, w.msiexec("/i", msi["1.0.0"], "/qn"), 1603)
		want(t, w.run(t, "service", "status"), 0)
	})
	step(t, "the service verbs work on what the MSI installed", func(t *testing.T) {
		want(t, w.run(t, "service", "install"), 6)
		want(t, w.run(t, "service", "stop"), 0)
		want(t, w.run(t, "service", "status"), 7)
		want(t, w.run(t, "service", "start"), 0)
		want(t, w.run(t, "service", "run"), 2) // not from the manager
	})
	step(t, "a removal stops the service and keeps its records", func(t *testing.T) {
		product := productCode(t, strings.TrimPrefix(msi["1.1.0"], "Z:"))
		want(t, w.msiexec("/x", product, "/qn"), 0)
		wantGone(t, filepath.Join(w.prefix, agent))
		if last := life(); last[len(last)-1] != "stopped 1.1.0" {
			t.Errorf("the service was not asked to stop: %q", last)
		}
		want(t, w.msiexec("/x", product, "/qn"), 1605)
	})
}

// run runs the installed agent.
func (w *wine) run(t *testing.T, args ...string) int {
	t.Helper()
	c := w.command("wine", append([]string{`C:\Program Files\Tapline\tapagent.exe`}, args...)...)
	if err := c.Run(); err != nil && c.ProcessState == nil {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode()
}

func wantGone(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Stat(path); err == nil {
		t.Errorf("%s is there", filepath.Base(path))
	}
}

// step is one sentence of the story. Steps build on each other, so the first that fails ends the test.
func step(t *testing.T, sentence string, do func(t *testing.T)) {
	t.Helper()
	if !t.Run(sentence, do) {
		t.FailNow()
	}
}
