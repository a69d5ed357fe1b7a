//go:build linux

package windows

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// wine is a fresh Windows as wine plays it: enough to run the installer's standard actions and a service. It is not
// Windows: rights, recovery, rollback and session 0 mean nothing here (see the README above).
type wine struct {
	t      *testing.T
	prefix string
}

// bootWine makes a prefix of its own. It lasts as long as the test.
func bootWine(t *testing.T) *wine {
	t.Helper()
	if os.Getenv("TAPLINE_SUITE") != "long" {
		t.Skip("needs: long suite")
	}
	need(t, "wine", "wine wine64")
	need(t, "x86_64-w64-mingw32-gcc", "gcc-mingw-w64-x86-64")
	w := &wine{t: t, prefix: t.TempDir()}
	w.must("wineboot", "-i")
	t.Cleanup(func() {
		if err := w.command("wineserver", "--kill").Run(); err != nil {
			t.Logf("wineserver --kill: %v", err)
		}
	})
	// Let the servers of wineboot end first: a command in that moment starts a second services.exe beside the first, and
	// the two answer in turn.
	w.must("wineserver", "--wait")
	w.lendProcessPrng()
	// wine ends services without a word when the last ordinary program ends; this one never does by itself.
	hold := w.command("wine", "ping", "-n", "3600", "127.0.0.1")
	if err := hold.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hold.Process.Kill(); _ = hold.Wait() })
	w.must("winecfg", "-v", "win10") // a fresh prefix says it is Windows 7
	return w
}

// lendProcessPrng gives wine 8 the one function of bcryptprimitives.dll without which no Go program starts.
func (w *wine) lendProcessPrng() {
	dll := filepath.Join(w.prefix, "drive_c/windows/system32/bcryptprimitives.dll")
	if _, err := os.Stat(dll); err == nil {
		return
	}
	w.must("x86_64-w64-mingw32-gcc", "-O2", "-s", "-shared", "-o", dll, "testdata/processprng.c", "-ladvapi32")
}

// command runs with all three standard files elsewhere: wine's own servers inherit and keep them.
func (w *wine) command(name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), "WINEPREFIX="+w.prefix, "WINEDEBUG=-all", "WINEDLLOVERRIDES=mscoree=;mshtml=", "DISPLAY=")
	return c
}

func (w *wine) must(name string, args ...string) {
	w.t.Helper()
	if err := w.command(name, args...).Run(); err != nil {
		w.t.Fatalf("%s %q: %v", name, args, err)
	}
}

// msiexec gives back the installer's full exit code: the shell would only see it modulo 256, so a Windows program
// (testdata/exitcode) runs it and writes the number down.
func (w *wine) msiexec(args ...string) int {
	w.t.Helper()
	result := filepath.Join(w.t.TempDir(), "code")
	c := w.command("wine", append([]string{w.program("exitcode.exe"), "Z:" + result, "msiexec"}, args...)...)
	if err := c.Run(); err != nil {
		w.t.Fatalf("msiexec %q: %v", args, err)
	}
	content, err := os.ReadFile(result)
	if err != nil {
		w.t.Fatal(err)
	}
	code, err := strconv.Atoi(string(content))
	if err != nil {
		w.t.Fatal(err)
	}
	return code
}

func (w *wine) program(name string) string { return filepath.Join(w.prefix, "drive_c", name) }

// overlay replaces one line of Go's own runtime for wine, which answers a POSIX delete with a status that Windows never
// gives and after which Go therefore does not fall back.
func (w *wine) overlay() string {
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		w.t.Fatal(err)
	}
	original := filepath.Join(strings.TrimSpace(string(goroot)), "src/internal/syscall/windows/at_windows.go")
	source, err := os.ReadFile(original)
	if err != nil {
		w.t.Fatal(err)
	}
	const known = "case STATUS_INVALID_INFO_CLASS,"
	changed := strings.Replace(string(source), known, "case NTStatus(0xC0000002), STATUS_INVALID_INFO_CLASS,", 1)
	if changed == string(source) {
		w.t.Fatalf("%s has changed: no %q in it", original, known)
	}
	dir := w.t.TempDir()
	replaced, listing := filepath.Join(dir, "at_windows.go"), filepath.Join(dir, "overlay.json")
	content, err := json.Marshal(map[string]map[string]string{"Replace": {original: replaced}})
	if err := errors.Join(err, os.WriteFile(replaced, []byte(changed), 0o600), os.WriteFile(listing, content, 0o600)); err != nil {
		w.t.Fatal(err)
	}
	return listing
}

// build compiles a package for Windows.
func (w *wine) build(out, pkg, flags string) {
	w.t.Helper()
	c := exec.Command("go", "build", "-overlay", w.overlay(), "-ldflags", "-s -w "+flags, "-o", out, pkg)
	c.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	if text, err := c.CombinedOutput(); err != nil {
		w.t.Fatalf("build %s: %v\n%s", pkg, err, text)
	}
}
