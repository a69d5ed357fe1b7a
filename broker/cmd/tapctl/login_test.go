package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"tapline/broker"
	"tapline/installer/osservice"
)

// house is a broker on loopback; it ends with the test. It gives the folder with the administrator's identity.
func house(t *testing.T) string {
	t.Helper()
	return houseWith(t, func(*broker.Config) {})
}

// houseWith is house with another configuration.
func houseWith(t *testing.T, change func(*broker.Config)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cfg := broker.Config{
		Listen: address, Data: t.TempDir(), Site: "plant", Hosts: []string{"127.0.0.1"}, Brokers: []string{address},
		Log: broker.LogConfig{Level: "error", Format: "json"},
	}
	change(&cfg)
	ctx, cancel := context.WithCancel(context.Background())
	b, err := broker.New(ctx, cfg, broker.Options{Build: "test"})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	var running errgroup.Group
	running.Go(func() error { return b.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		if err := running.Wait(); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(cfg.Data, "admin")
}

// good runs a command line that must succeed.
func good(t *testing.T, args ...string) string {
	t.Helper()
	code, out, errs := run(t, args...)
	if code != osservice.OK {
		t.Fatalf("tapctl %s: %s\n%s", strings.Join(args, " "), code, errs)
	}
	return out
}

func TestFromAnInvitationToARenewedIdentityAndItsEnd(t *testing.T) {
	admin := house(t)
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	word := strings.TrimSpace(good(t, "admin", "invite", "olga", "--role", "helpdesk", "--identity", admin))
	if !strings.HasPrefix(word, "ti1.") {
		t.Fatalf("the invitation is %q", word)
	}
	out := good(t, "login", "--token", word, "--context", "plant-1")
	if !strings.Contains(out, "you are olga, helpdesk, until ") {
		t.Errorf("login says %q", out)
	}
	folder := filepath.Join(contextsDir(), "plant-1")
	for _, name := range []string{certFile, keyFile, rootsFile, brokerFile} {
		i, err := os.Stat(filepath.Join(folder, name))
		if err != nil || i.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", name, i, err)
		}
	}
	for _, row := range []struct{ line, says string }{
		{"whoami", "role      helpdesk"},
		{"whoami -o json", `"may": [`},
		{"context list", "olga"},
		{"context list -o json", `"in_use": true`},
		{"context use plant-1", "plant-1 is in use"},
		{"status -o json", `"records"`},
		{"status --broker 127.0.0.1:1," + brokerOf(t, folder), "alarms"}, // the first does not answer
		{"admin renew", "renewed until"},
		{"whoami", "name      olga"},
		{"completion bash", "tapctl"},
		{"exit-codes", "refused"},
	} {
		if out := good(t, strings.Fields(row.line)...); !strings.Contains(out, row.says) {
			t.Errorf("tapctl %s says\n%s\nwant %q", row.line, out, row.says)
		}
	}
	for line, want := range map[string]struct {
		code osservice.ExitCode
		says string
	}{
		"person put p-1 --name X":                        {osservice.NotPermitted, "tapctl whoami"},
		"login --token " + word:                          {osservice.NotPermitted, "works once"},
		"login --token tl1.abc":                          {osservice.Usage, "station's token"},
		"context use nowhere":                            {osservice.Usage, "no context nowhere"},
		"admin invite x --role king --identity " + admin: {osservice.Refused, "role"},
		"whoami --context ../evil":                       {osservice.Usage, "--context"},
	} {
		if code, _, said := run(t, strings.Fields(line)...); code != want.code || !strings.Contains(said, want.says) {
			t.Errorf("tapctl %s: %s\n%s", line, code, said)
		}
	}
	if left, err := filepath.Glob(filepath.Join(contextsDir(), "*.pending")); err != nil || len(left) > 0 {
		t.Errorf("logins that were refused left %v, %v", left, err)
	}
	if out := good(t, "acts", "list", "--identity", admin); !strings.Contains(out, "olga") || !strings.Contains(out, "RenewOfficer") {
		t.Errorf("acts:\n%s", out)
	}
	if out := good(t, "acts", "list", "--actor", "olga", "--from", "1h", "-o", "json", "--identity", admin); !strings.Contains(out, `"role": "helpdesk"`) || strings.Contains(out, `"actor": "local"`) {
		t.Errorf("acts:\n%s", out)
	}
	good(t, "admin", "revoke", "olga", "--reason", "left", "--identity", admin)
	if code, _, said := run(t, "status"); code != osservice.NotPermitted || !strings.Contains(said, "revoked") {
		t.Errorf("after the revocation: %s\n%s", code, said)
	}
	if out := good(t, "admin", "list", "--identity", admin); !strings.Contains(out, "revoked left") {
		t.Errorf("list:\n%s", out)
	}
	good(t, "context", "remove", "plant-1")
	if _, err := os.Stat(folder); !os.IsNotExist(err) {
		t.Error("the identity is still there")
	}
}

func brokerOf(t *testing.T, folder string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(folder, brokerFile))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}
