//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestNoFaultShutsAStation runs the matrix of scripts/bench faults: whatever fails, the view can be seen, the station opens to whoever needs it, the day
// adds up, and the evidence verifies.
func TestNoFaultShutsAStation(t *testing.T) {
	if os.Getenv("TAPLINE_SUITE") == "quick" {
		t.Skip("needs: full suite")
	}
	if programs == "" {
		t.Skip("needs: " + missing)
	}
	for program, debian := range map[string]string{"Xvfb": "xvfb", "strace": "strace", "ip": "iproute2"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("needs: " + debian)
		}
	}
	bench := exec.CommandContext(within(t, 10*time.Minute), programs+"/tapbench", "faults", "--json")
	bench.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "TAPLINE_PRIVATE_PCSC=") }) // a world of its own
	var said bytes.Buffer
	bench.Stderr = &said
	out, err := bench.Output()
	cells := map[string]int{}
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		var c struct {
			Case, Mode string
			InForce    string `json:"in_force"`
			Blocked    int
			Day        int64 `json:"day_seconds"`
			Verified   bool
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatalf("%s: %v", lines.Bytes(), err)
		}
		cells[c.Mode]++
		if c.Blocked != 0 || c.Day != 86_400 || !c.Verified || c.InForce != c.Mode {
			t.Errorf("%s", lines.Bytes())
		}
	}
	if err != nil {
		t.Errorf("%v\n%s", err, said.Bytes())
	}
	if cells["attribute"] < 14 || cells["gate"] < 14 {
		t.Errorf("tried %v: the matrix has 14 rows", cells)
	}
}
