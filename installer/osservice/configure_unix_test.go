//go:build unix

package osservice

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestConfigureLeavesTheTokenForTheServiceAlone(t *testing.T) {
	given := filepath.Join(t.TempDir(), "token.txt")
	if err := os.WriteFile(given, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, args, stdin string
		code              ExitCode
		left              bool
	}{
		{"a token from a file", "--broker b:1 --token-file " + given, "", OK, true},
		{"a token from stdin", "--broker b:1 --token-stdin", secret + "\n", OK, true},
		{"a token from the MSI", "--broker b:1 --token " + secret, "", OK, true},
		{"an upgrade has none", "--broker b:1 --token=", "", OK, false},
		{"a token without a broker", "--token " + secret, "", Usage, false},
		{"a file that is not there", "--broker b:1 --token-file /nowhere/token", "", Usage, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "state")
			t.Setenv("STATE_DIRECTORY", dir)
			var out bytes.Buffer
			c := ConfigureCommand(Spec{Name: "tapline-osservicetest"})
			c.SetArgs(strings.Fields(test.args))
			c.SetIn(strings.NewReader(test.stdin))
			c.SetOut(&out)
			c.SetErr(&out)
			if got := Execute(t.Context(), c); got != test.code {
				t.Fatalf("code %v, want %v: %s", got, test.code, out.String())
			}
			if strings.Contains(out.String(), secret) {
				t.Errorf("the output shows the token: %s", out.String())
			}
			h, left, err := TakeHandover(dir)
			if err != nil || left != test.left || (left && h != Handover{Broker: "b:1", Token: secret}) {
				t.Fatalf("left: %v, %v, %v", h, left, err)
			}
			if left {
				wantMode(t, dir, 0o700)
				wantMode(t, filepath.Join(dir, HandoverFile), 0o600)
			}
		})
	}
}

func wantMode(t *testing.T, path string, want os.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != want {
		t.Errorf("%s: mode %o, want %o", path, got, want)
	}
}
