//go:build linux

package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tapline/installer/osservice"
	"tapline/scripts/rig"
)

// witness starts tapaudit witness for a log and gives its key and URL.
func witness(t *testing.T, logKey string) (key, url string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(programs, "tapaudit"), "witness", "--name", "auditor.example/oslo", "--log", logKey, "--listen", "127.0.0.1:0",
		"--state", filepath.Join(t.TempDir(), "witness"))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait()); err != nil {
			t.Errorf("the witness ended: %v", err)
		}
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "witness":
			key = strings.TrimSpace(rest)
		case "listening":
			return key, strings.TrimSpace(rest)
		}
	}
	t.Fatalf("the witness did not start: %v", lines.Err())
	return "", ""
}

// ctl runs tapctl, which must succeed.
func ctl(t *testing.T, p *rig.Plant, args ...string) string {
	t.Helper()
	out, err := p.Ctl(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// audit runs tapaudit and wants an exit code and words.
func audit(t *testing.T, p *rig.Plant, code int, says string, args ...string) {
	t.Helper()
	out, err := p.Run(t.Context(), "tapaudit", args...)
	got := 0
	if exit := (*rig.Exit)(nil); errors.As(err, &exit) {
		got = exit.Code
	} else if err != nil {
		t.Fatal(err)
	}
	if got != code || !strings.Contains(out, says) {
		t.Errorf("tapaudit %s: exit %d, want %d with %q: %v\n%s", strings.Join(args, " "), got, code, says, err, out)
	}
}

// An auditor follows a plant's log from month to month, and a witness of theirs cosigns it. Then the plant loses its store and puts an old copy back.
func TestAnAuditorFollowsTheLogAndSeesWhenItWasLost(t *testing.T) {
	p := plant(t)
	restart := func() {
		t.Helper()
		if err := errors.Join(p.Broker.Stop(), p.StartBroker(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	trust, vkey := strings.TrimSpace(ctl(t, p, "trust")), strings.TrimSpace(ctl(t, p, "log", "key"))
	wkey, url := witness(t, vkey)
	config := filepath.Join(p.Dir(), "broker.yaml")
	f, err := os.OpenFile(config, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintf(f, "witnesses:\n  - key: %s\n    url: %s\n", wkey, url)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	restart()

	ctl(t, p, "account", "put", "press-hmi", "--station", "plant/press/")
	october := filepath.Join(t.TempDir(), "october")
	ctl(t, p, "export", october)
	audit(t, p, 0, "log: cosigned by auditor.example/oslo", "verify", october, "--trust-key", trust, "--witness", wkey)

	// A copy of the data folder is put aside: the backup.
	if err := p.Broker.Stop(); err != nil {
		t.Fatal(err)
	}
	data, backup := filepath.Join(p.Dir(), "broker"), filepath.Join(t.TempDir(), "backup")
	if out, err := exec.Command("cp", "-a", data, backup).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := p.StartBroker(t.Context()); err != nil {
		t.Fatal(err)
	}

	for i := range 5 {
		ctl(t, p, "person", "put", fmt.Sprintf("p-%d", i), "--name", "Anna B.", "--role", "operator")
	}
	if err := errors.Join(p.Broker.Kill(), p.StartBroker(t.Context())); err != nil { // no way to stop, and no harm
		t.Fatal(err)
	}
	november := filepath.Join(t.TempDir(), "november")
	ctl(t, p, "export", november, "--since", october)
	audit(t, p, 0, "continues the earlier checkpoint", "verify", november, "--trust-key", trust, "--since", october, "--witness", wkey)
	audit(t, p, 0, "nothing of them was changed", "log", "check", october, november, "--trust-key", trust)

	// One record, proven by itself.
	dir := t.TempDir()
	proof, line := filepath.Join(dir, "record.tlog-proof"), filepath.Join(dir, "record.json")
	if err := os.WriteFile(proof, []byte(ctl(t, p, "log", "prove", "1", "--record", line)), 0o600); err != nil {
		t.Fatal(err)
	}
	audit(t, p, 0, "GOOD: leaf 1 of", "log", "proof", proof, line, "--log-key", vkey)
	old := filepath.Join(dir, "old")
	if err := os.WriteFile(old, []byte(ctl(t, p, "log", "checkpoint")), 0o600); err != nil {
		t.Fatal(err)
	}
	way, now := filepath.Join(dir, "way"), filepath.Join(dir, "now")
	ctl(t, p, "account", "put", "other-hmi")
	ctl(t, p, "export", filepath.Join(dir, "waits-for-the-log"))
	for name, text := range map[string]string{way: ctl(t, p, "log", "consistency", old), now: ctl(t, p, "log", "checkpoint")} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	audit(t, p, 0, "GOOD", "log", "check", old, now, "--proof", way, "--log-key", vkey)

	// The store is lost, and the copy of before put back; the checkpoint beside it tells.
	if err := p.Broker.Stop(); err != nil {
		t.Fatal(err)
	}
	if out, err := p.Run(t.Context(), "tapbroker", "log", "verify", "--config", config); err != nil || !strings.Contains(out, "all good") {
		t.Errorf("tapbroker log verify: %v\n%s", err, out)
	}
	for _, name := range []string{"broker.db", "broker.db-wal", "broker.db-shm"} {
		b, err := os.ReadFile(filepath.Join(backup, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(data, name), b, 0o600)
		} else {
			err = os.RemoveAll(filepath.Join(data, name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err = p.Run(t.Context(), "tapbroker", "serve", "--config", config)
	refused(t, err, osservice.Config, "behind the published checkpoint")
	_, err = p.Run(t.Context(), "tapbroker", "log", "restart", "--config", config)
	refused(t, err, osservice.Usage, "ends the log")
	if _, err := p.Run(t.Context(), "tapbroker", "log", "restart", "--yes", "--config", config); err != nil {
		t.Fatal(err)
	}
	if err := p.StartBroker(t.Context()); err != nil {
		t.Fatal(err)
	}
	december := filepath.Join(t.TempDir(), "december")
	ctl(t, p, "export", december)
	audit(t, p, 0, "GOOD", "verify", december, "--trust-key", trust)
	audit(t, p, 1, "log-forked", "verify", december, "--trust-key", trust, "--since", november)
}
