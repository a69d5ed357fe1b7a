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
