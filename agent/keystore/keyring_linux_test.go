package keystore

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// inBus is set in the copy of this test that runs inside a session bus of its own.
const inBus = "TAPLINE_TEST_IN_BUS"

// TestTheSecretServiceKeepsTheContract runs itself again inside a private session bus with a real keyring daemon.
func TestTheSecretServiceKeepsTheContract(t *testing.T) {
	if os.Getenv(inBus) != "" {
		dir := filepath.Join(t.TempDir(), "keys")
		contract(t, func() (Store, error) { return Open(Config{Kind: Keyring, Dir: dir}) })
		if where := mustOpen(t, Config{Dir: dir}).Where(); !strings.Contains(where, "Secret Service") {
			t.Errorf("where: %s", where)
		}
		return
	}
	for _, tool := range []string{"dbus-run-session", "gnome-keyring-daemon"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs: " + tool)
		}
	}
	home := t.TempDir()
	script := `printf test | gnome-keyring-daemon --daemonize --unlock --components=secrets >/dev/null 2>&1 && exec "$0" -test.run="^$1\$" -test.v`
	c := exec.CommandContext(t.Context(), "dbus-run-session", "--", "sh", "-c", script, os.Args[0], t.Name())
	c.Env = append(os.Environ(), inBus+"=1", "HOME="+home, "XDG_DATA_HOME="+home, "XDG_RUNTIME_DIR="+home, "DBUS_SESSION_BUS_ADDRESS=")
	out, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Errorf("in the session: %v\n%s", err, out)
	}
}

// A bus that was not there must not be started by us: the library would leave two daemons behind.
func TestNoKeyringIsTouchedWithoutABus(t *testing.T) {
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "")
	if _, err := Open(Config{Kind: Keyring, Dir: filepath.Join(t.TempDir(), "keys")}); err == nil || !strings.Contains(err.Error(), "session bus") {
		t.Errorf("got %v", err)
	}
	if where := mustOpen(t, Config{Dir: filepath.Join(t.TempDir(), "keys")}).Where(); !strings.Contains(where, "files") {
		t.Errorf("auto took %s", where)
	}
}
