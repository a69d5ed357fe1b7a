package record_test

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"tapline/proto/record"
)

const byHand = "../../scripts/verify-by-hand"

// handCheck runs the script and gives its exit status and what it said.
func handCheck(t *testing.T, args ...string) (int, string) {
	t.Helper()
	for _, tool := range []string{"bash", "openssl", "jq", "base64", "sha256sum"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs: bash openssl jq base64 sha256sum")
		}
	}
	out, err := exec.Command("bash", append([]string{byHand}, args...)...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if exit != nil {
		return exit.ExitCode(), string(out)
	}
	return 0, string(out)
}

// The evidence can be checked with stock tools alone.
func TestGoldenEvidenceIsGoodByHand(t *testing.T) {
	dir := t.TempDir()
	golden(t).store(t, dir)
	code, out := handCheck(t, dir, record.PublicKeyOf(key("broker")).String())
	if code != 0 || !strings.Contains(out, "GOOD: 35 records in 4 chains") || strings.Contains(out, "WARNING") {
		t.Errorf("status %d: %s", code, out)
	}
	if code, out := handCheck(t, dir, record.PublicKeyOf(key("forger")).String()); code != 1 {
		t.Errorf("with the key of another broker: status %d: %s", code, out)
	}
}

// What the script finds, it finds where the verifier does.
func TestTamperingIsFoundByHand(t *testing.T) {
	finds := map[string]bool{
		"edit": true, "drop": true, "truncate": true, "fork": true, "later-key": true, "unsealed": true, "wrong-station": true,
		"extra-signature": true, "not-json": true, "statement-forged": true, "receipt-foreign": true, "delete-records": true,
	}
	for _, c := range tamperings() {
		if !finds[c.name] {
			continue
		}
		delete(finds, c.name)
		t.Run(c.name, func(t *testing.T) {
			if testing.Short() && c.name != "edit" {
				t.Skip("needs: full suite")
			}
			w := golden(t)
			station := w.chains[c.chain].id.Station
			c.corrupt(t, w)
			dir := t.TempDir()
			w.store(t, dir)
			code, out := handCheck(t, dir)
			want := fmt.Sprintf("BAD: station %s, record %d: ", station, c.seq)
			if code != 1 || !strings.Contains(out, want) {
				t.Errorf("who %s: status %d, want 1 and %q:\n%s", c.does, code, want, out)
			}
		})
	}
	for name := range finds {
		t.Errorf("no case is named %s", name)
	}
}
