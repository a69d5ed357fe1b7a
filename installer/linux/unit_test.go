//go:build linux

package linux

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// units and the highest exposure that each may have, by "systemd-analyze security": 0 is closed, 10 is open. What is left
// is network access and, for the agent, serial devices.
var units = []struct {
	path  string
	limit float64
}{
	{"agent/tapline-agent.service", 2.0},
	{"broker/tapline-broker.service", 2.0},
}

func TestUnitsAreHardened(t *testing.T) {
	need(t, "systemd-analyze", "systemd")
	for _, unit := range units {
		out, err := exec.Command("systemd-analyze", "security", "--offline=yes", "--no-pager", unit.path).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", unit.path, err, out)
		}
		found := regexp.MustCompile(`exposure level for \S+: ([0-9.]+)`).FindSubmatch(out)
		if found == nil {
			t.Fatalf("%s: no score in\n%s", unit.path, out)
		}
		score, err := strconv.ParseFloat(string(found[1]), 64)
		if err != nil || score > unit.limit {
			t.Errorf("%s: exposure %v, want at most %v (%v)", unit.path, score, unit.limit, err)
		}
		t.Logf("%s: exposure %v", unit.path, score)
	}
}

// TestUnitsKeepTheirPromises holds what the programs and the README rely on.
func TestUnitsKeepTheirPromises(t *testing.T) {
	tests := []struct {
		path string
		has  []string
		not  []string
	}{
		{
			"agent/tapline-agent.service",
			[]string{
				"Type=notify", "ExecStart=/usr/bin/tapagent run --config /etc/tapline/agent.yaml", "User=tapline",
				"StateDirectory=tapline-agent", "StateDirectoryMode=0700", "RestartPreventExitStatus=2 3", "DeviceAllow=char-ttyUSB rw",
			},
			// Both would break the agent: no serial readers; every local caller looks like "nobody".
			[]string{"PrivateDevices=yes", "PrivateUsers=yes"},
		},
		{
			"broker/tapline-broker.service",
			[]string{
				"Type=notify", "ExecStart=/usr/bin/tapbroker serve --config /etc/tapline/broker.yaml", "User=tapline-broker",
				"StateDirectory=tapline-broker", "StateDirectoryMode=0700", "RestartPreventExitStatus=2 3", "PrivateDevices=yes",
			},
			[]string{"PrivateUsers=yes"},
		},
	}
	for _, test := range tests {
		content, err := os.ReadFile(test.path)
		if err != nil {
			t.Fatal(err)
		}
		lines := map[string]bool{}
		for line := range strings.Lines(string(content)) {
			lines[strings.TrimSpace(line)] = true
		}
		for _, want := range test.has {
			if !lines[want] {
				t.Errorf("%s lacks %q", test.path, want)
			}
		}
		for _, never := range test.not {
			if lines[never] {
				t.Errorf("%s has %q", test.path, never)
			}
		}
	}
}
