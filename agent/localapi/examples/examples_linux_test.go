package examples

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/agent/brokertest"
	taplinev1 "tapline/proto/tapline/v1"
)

const press = "plant/packing/line-3/press-4"

// station is a real agent in a process of its own, with a badge reader on a serial line.
type station struct {
	t    *testing.T
	dir  string
	line *os.File // what is written to it is a badge
	log  string
}

func newStation(t *testing.T) *station {
	t.Helper()
	for _, program := range []string{"curl", "openssl", "python3"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("needs: " + program)
		}
	}
	dir, err := os.MkdirTemp("", "tapline") // short: a socket's path has 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &station{t: t, dir: dir, log: filepath.Join(dir, "log")}
	s.does("go", "build", "-o", dir, "tapline/agent/cmd/tapagent")
	s.does("go", "build", "-o", filepath.Join(dir, "tapwho"), "tapline/agent/localapi/examples/go")
	far, near, err := pty.Open()
	if err != nil {
		t.Skipf("needs: a pseudo-terminal: %v", err)
	}
	t.Cleanup(func() { _, _ = far.Close(), near.Close() })
	s.line = far
	broker := brokertest.New(t, time.Now)
	broker.Open = func(r *taplinev1.OpenSessionRequest) *taplinev1.OpenSessionResponse {
		for id, name := range map[string]string{"anna": "Anna B.", "ben": "Ben C."} {
			if bytes.Contains(r.GetBadge().GetNumber(), []byte(id)) {
				return &taplinev1.OpenSessionResponse{
					Decision: &taplinev1.Decision{Allowed: true, PolicyVersion: "p1", Rules: []string{"everybody"}}, BrokerTime: timestamppb.Now(),
					Person: &taplinev1.Person{Id: "p-" + id, DisplayName: name},
					Lease:  &taplinev1.Lease{Id: "lease", Account: "press", Fence: uint64(time.Now().UnixNano()), ExpiresAt: timestamppb.New(time.Now().Add(time.Hour))},
				}
			}
		}
		return &taplinev1.OpenSessionResponse{Decision: &taplinev1.Decision{Refusal: taplinev1.RefusalCause_REFUSAL_CAUSE_UNKNOWN_BADGE}, BrokerTime: timestamppb.Now()}
	}
	address := broker.Serve(t)
	broker.Addresses = []string{address}
	config := fmt.Sprintf("state_dir: %[1]s/state\nsocket: %[1]s/s\nkeystore: file\nweb:\n  listen: \"\"\nreaders:\n  pcsc:\n    enabled: false\n  serial:\n    - {device: %[2]s, name: door, format: text}\n",
		dir, near.Name())
	for name, text := range map[string]string{"agent.yaml": config, "token": broker.Token(press, address).Encode()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.does(filepath.Join(dir, "tapagent"), "enrol", "--config", s.file("agent.yaml"), "--token-file", s.file("token"))
	s.run()
	return s
}

func (s *station) file(name string) string { return filepath.Join(s.dir, name) }

// does runs a program that must succeed.
func (s *station) does(program string, args ...string) {
	s.t.Helper()
	if out, err := exec.CommandContext(s.t.Context(), program, args...).CombinedOutput(); err != nil {
		s.t.Fatalf("%s %q: %v\n%s", program, args, err, out)
	}
}

// run runs the agent until the test ends, and waits until its line to the broker stands.
func (s *station) run() {
	s.t.Helper()
	log, err := os.Create(s.log)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = log.Close() })
	cmd := exec.CommandContext(context.WithoutCancel(s.t.Context()), s.file("tapagent"), "run", "--config", s.file("agent.yaml"))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			s.t.Errorf("the agent: %v", err)
		}
	})
	s.until("the agent works", func() bool {
		out, _ := exec.CommandContext(s.t.Context(), s.file("tapagent"), "status", "--config", s.file("agent.yaml")).CombinedOutput()
		return strings.Contains(string(out), ": connected") && strings.Contains(string(out), "door: ready")
	})
}

func (s *station) until(what string, ok func() bool) {
	s.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(30 * time.Second)
	defer limit.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit.C:
			log, _ := os.ReadFile(s.log)
			s.t.Fatalf("waited in vain: %s\n%s", what, log)
		}
	}
}

func (s *station) tap(badge string) {
	s.t.Helper()
	if _, err := s.line.WriteString(badge + "\r\n"); err != nil {
		s.t.Fatal(err)
	}
}

// command is a client with its arguments.
func (s *station) command(client []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(s.t.Context(), client[0], append(append([]string{}, client[1:]...), args...)...)
	cmd.Env = append(os.Environ(), "TAPLINE_SOCKET="+s.file("s"), "PYTHONDONTWRITEBYTECODE=1")
	return cmd
}

func (s *station) says(client []string, args ...string) (string, error) {
	out, err := s.command(client, args...).CombinedOutput()
	return string(out), err
}

// Each example does what it says, against an agent in a process of its own: nobody, Anna after her tap, Ben after his, a watch that sees them come, a claim, and
// a signature.
func TestTheExamplesDoWhatTheySay(t *testing.T) {
	if os.Getenv("TAPLINE_SUITE") == "quick" {
		t.Skip("needs: full suite")
	}
	s := newStation(t)
	clients := map[string][]string{"go": {s.file("tapwho")}, "python": {"python3", "python/tapwho.py"}, "curl": {"curl/tapwho"}}
	for name, client := range clients {
		if out, err := s.says(client, "who"); err != nil || strings.Contains(out, "Anna") || name != "curl" && out != "nobody\n" {
			t.Errorf("%s: %q, %v", name, out, err)
		}
		if out, err := s.says(client, "claim", "0195c0de-0000-7000-8000-000000000001", "nothing"); err == nil || !strings.Contains(out, "emergency") && !strings.Contains(out, "NotFound") {
			t.Errorf("%s claims an emergency that is none: %q, %v", name, out, err)
		}
		if out, err := s.says(client, "dance"); err == nil || !strings.Contains(out, "who") {
			t.Errorf("%s without a word that it knows: %q, %v", name, out, err)
		}
	}
	for name, client := range clients {
		cmd := s.command(client, "watch", "2")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		sees := func(what string) {
			for lines.Scan() {
				if strings.Contains(lines.Text(), what) {
					return
				}
			}
			t.Errorf("%s never sees %s (%v)", name, what, lines.Err())
		}
		sees(map[bool]string{true: "PRESENCE_STATE", false: ""}[name == "curl"])
		badge, person := "anna", "Anna B."
		if before, _ := s.says(clients["go"], "who"); strings.HasPrefix(before, "Anna") {
			badge, person = "ben", "Ben C."
		}
		s.tap(badge)
		sees(person)
		if name == "curl" { // it has no end of its own
			_ = cmd.Process.Signal(os.Interrupt)
			_ = cmd.Process.Kill()
		}
		_ = cmd.Wait()
		if out, err := s.says(client, "who"); err != nil || !strings.Contains(out, person) || !strings.Contains(out, "p-"+badge) {
			t.Errorf("%s: %q, %v", name, out, err)
		}
		signing := s.command(client, "sign", "batch-book", "release", "released", "doc.go")
		signing.Stdin = strings.NewReader("1234\n")
		if signed, err := signing.CombinedOutput(); err != nil || !strings.Contains(string(signed), "payload") && !strings.Contains(string(signed), "envelope") {
			t.Errorf("%s signs: %q, %v", name, signed, err)
		}
		if out, err := s.says(client, "sign", "batch-book", "release", "released", "doc.go"); err == nil || !strings.Contains(out, "pin") {
			t.Errorf("%s signs without a PIN: %q, %v", name, out, err)
		}
	}
}
