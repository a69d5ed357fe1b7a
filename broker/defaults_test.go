package broker

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The packages install a file of comments: it must mean the defaults, and so must an empty one.
func TestAConfigurationThatSaysNothingMeansTheDefaults(t *testing.T) {
	want, err := DefaultConfig()
	if err != nil {
		t.Fatal(err)
	}
	if err := want.fill(); err != nil {
		t.Fatal(err)
	}
	packaged, err := os.ReadFile(filepath.Join("..", "installer", "linux", "broker", "broker.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"the packages' own": string(packaged), "empty": "", "a comment": "# c", "a comment and a line": "# c\n", "no keys": "{}\n", "one dash line": "---\n",
		"keys without values": "listen:\nlog:\n",
	} {
		path := filepath.Join(t.TempDir(), "broker.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := LoadConfig(path)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestListenersThatWouldTakeEachOthersAddress(t *testing.T) {
	for _, c := range []struct {
		says                string
		listen, metrics, si string
		faults              int
	}{
		{"three ports", ":8443", "127.0.0.1:9464", ":8444", 0},
		{"one port at two addresses", "10.0.0.1:8443", "127.0.0.1:8443", "", 0},
		{"the same address", "127.0.0.1:8443", "", "127.0.0.1:8443", 1},
		{"one takes all addresses", ":8443", "127.0.0.1:8443", "[::]:8443", 3},
		{"any free port", "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", 0},
	} {
		got := Config{Listen: c.listen, MetricsListen: c.metrics, ScimListen: c.si}.checkPorts()
		if len(got) != c.faults {
			t.Errorf("%s: got %v, want %d faults", c.says, got, c.faults)
		}
	}
}
