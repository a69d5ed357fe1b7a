package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tapline/broker"
	"tapline/broker/vault"
	"tapline/installer/osservice"
)

// run runs a command on a data folder.
func run(t *testing.T, data string, args ...string) (string, error) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "broker.yaml")
	if err := os.WriteFile(config, []byte("data: "+data+"\nmaster_key: file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	r := root()
	r.SetArgs(append(args, "--config", config))
	r.SetOut(&out)
	r.SetErr(&out)
	err := r.ExecuteContext(t.Context())
	return out.String(), err
}

// used is a data folder that a broker has started on.
func used(t *testing.T) string {
	t.Helper()
	cfg, err := broker.DefaultConfig()
	if err != nil {
		t.Fatal(err)
	}
	cfg.Data, cfg.Hosts, cfg.Brokers = t.TempDir(), []string{"127.0.0.1"}, []string{"127.0.0.1:8443"}
	b, err := broker.New(context.Background(), cfg, broker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	return cfg.Data
}

func TestABackupIsRestoredByTheCommand(t *testing.T) {
	data, file := used(t), filepath.Join(t.TempDir(), "tapline.gz")
	if out, err := run(t, data, "backup", file); err != nil || !strings.Contains(out, "not in it") {
		t.Fatalf("%v\n%s", err, out)
	}
	_, err := run(t, data, "restore", file)
	if osservice.CodeOf(err) != osservice.Refused || !strings.Contains(osservice.HintOf(err), "--force") {
		t.Errorf("over a store in use: %v (%s)", err, osservice.HintOf(err))
	}
	other := filepath.Join(t.TempDir(), "new")
	out, err := run(t, other, "restore", file)
	if err != nil || !strings.Contains(out, "master.key") {
		t.Errorf("into nothing: %v\n%s", err, out)
	}
	key, err := os.ReadFile(filepath.Join(data, vault.KeyFile))
	if err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, data, "backup", file, "--with-master-key", "-o", "json"); err != nil || strings.Contains(out, base64.StdEncoding.EncodeToString(key)) {
		t.Errorf("with the key: %v\n%s", err, out)
	}
	third := filepath.Join(t.TempDir(), "third")
	if _, err := run(t, third, "restore", file); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(filepath.Join(third, vault.KeyFile)); err != nil || !bytes.Equal(got, key) {
		t.Errorf("the key did not come back: %v", err)
	}
	if out, err := run(t, third, "migrate", "--status"); err != nil || !strings.Contains(out, "schema") {
		t.Errorf("status: %v\n%s", err, out)
	}
}

func TestARestoreDoesNotGoBehindWhatWasSignedFor(t *testing.T) {
	data, file := used(t), filepath.Join(t.TempDir(), "tapline.gz")
	if _, err := run(t, data, "backup", file); err != nil {
		t.Fatal(err)
	}
	newer := t.TempDir()
	zero := base64.StdEncoding.EncodeToString(make([]byte, 32))
	signed := fmt.Sprintf("plant/log\n7\n%s\n\n— plant/log %s\n", zero, base64.StdEncoding.EncodeToString(make([]byte, 68)))
	if err := os.WriteFile(filepath.Join(newer, "checkpoint"), []byte(signed), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{}, {"--force"}, {"--accept-lost", "6"}} {
		_, err := run(t, newer, append([]string{"restore", file}, args...)...)
		if osservice.CodeOf(err) != osservice.Refused || !strings.Contains(fmt.Sprint(err), "0 records, and 7 were published") {
			t.Errorf("with %v: %v", args, err)
		}
	}
	if out, err := run(t, newer, "restore", file, "--accept-lost", "7"); err != nil || !strings.Contains(out, "log restart") {
		t.Errorf("told that it is lost: %v\n%s", err, out)
	}
}
