//go:build linux

package e2e

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tapline/proto/wire"
	"tapline/scripts/rig"

	taplinev1 "tapline/proto/tapline/v1"
)

// After taps, a refusal, a PIN, an enrolment and a crash with all stacks printed, no file of agent or broker holds a badge number, the PIN or the
// token's secret, in any spelling that a log or an encoder would give it.
func TestNoSecretStandsInAnyFile(t *testing.T) {
	p, s, crew := staffed(t, 2, "Reader A")
	ctx := within(t, 90*time.Second)
	stranger := []byte{0x04, 0xC0, 0xFF, 0xEE, 0x5A, 0xA5, 0x91}
	secret, err := wire.ParseToken(token(t, p, "plant/press/line-5/hmi-1"))
	if err != nil {
		t.Fatal(err)
	}
	const pin = "739184650217"
	if _, err := p.RunWith(ctx, []byte(pin+"\n"), "tapctl", "--identity", p.Identity(), "person", "pin", crew[0].ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Tap(ctx, 0, crew[0].UID, rig.Named(crew[0].ID)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Tap(ctx, 0, stranger, rig.Noticed(taplinev1.NoticeKind_NOTICE_KIND_REFUSED)); err != nil {
		t.Fatal(err)
	}
	if err := p.Broker.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.AwaitBroker(ctx, false); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Tap(ctx, 0, crew[1].UID, rig.Named(crew[1].ID)); err != nil {
		t.Fatal(err)
	}
	if err := p.StartBroker(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.AwaitDrained(ctx); err != nil {
		t.Fatal(err)
	}
	support(t, p, s, crew)
	crash(t, p.Broker)
	crash(t, s.Agent)
	canaries := map[string][]byte{"the PIN": []byte(pin), "the token's secret": []byte(secret.Secret)}
	for name, uid := range map[string][]byte{"Anna's badge": crew[0].UID, "Ben's badge": crew[1].UID, "the stranger's badge": stranger} {
		for how, spelt := range spellings(uid) {
			canaries[name+", "+how] = spelt
		}
	}
	found, files, err := search(p.Dir(), canaries)
	if err != nil || files < 10 {
		t.Fatalf("%d files were searched: %v", files, err)
	}
	for _, one := range found {
		t.Error(one)
	}
}

// support has the agent's support bundle made and unpacks it into the plant's folder, where the search finds it. No person is in it by name or ID.
func support(t *testing.T, p *rig.Plant, s *rig.Station, crew []rig.Person) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "support.zip")
	out, err := exec.CommandContext(within(t, time.Minute), filepath.Join(programs, "tapagent"), "support-bundle", "--goroutines", "--config", s.Config(), "-o", path).CombinedOutput()
	if err != nil {
		t.Fatalf("support bundle: %v\n%s", err, out)
	}
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	dir := filepath.Join(p.Dir(), "support")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	heads := false
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range crew {
			if w.ID != "" && bytes.Contains(b, []byte(w.ID)) || w.Name != "" && bytes.Contains(b, []byte(w.Name)) {
				t.Errorf("%s in the support bundle names %s", f.Name, w.Name)
			}
		}
		heads = heads || f.Name == "records.jsonl" && bytes.Contains(b, []byte("session.opened"))
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(f.Name)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if !heads {
		t.Error("the support bundle tells of no session")
	}
}

// crash makes a Go program print every stack and die, as a fault of the runtime would.
func crash(t *testing.T, p *rig.Process) {
	t.Helper()
	if err := syscall.Kill(p.PID(), syscall.SIGABRT); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
}

// spellings are the ways a number could be written.
func spellings(uid []byte) map[string][]byte {
	lower := hex.EncodeToString(uid)
	var parts []string
	var decimal []string
	for _, b := range uid {
		parts = append(parts, hex.EncodeToString([]byte{b}))
		decimal = append(decimal, strconv.Itoa(int(b)))
	}
	return map[string][]byte{
		"raw":           uid,
		"hex":           []byte(lower),
		"upper hex":     []byte(strings.ToUpper(lower)),
		"colons":        []byte(strings.Join(parts, ":")),
		"upper, colons": []byte(strings.ToUpper(strings.Join(parts, ":"))),
		"spaces":        []byte(strings.Join(parts, " ")),
		"upper, spaces": []byte(strings.ToUpper(strings.Join(parts, " "))),
		"Go's list":     []byte(strings.Join(decimal, " ")),
		"JSON's list":   []byte(strings.Join(decimal, ",")),
		"base64":        []byte(strings.TrimRight(base64.StdEncoding.EncodeToString(uid), "=")),
		"canonical":     []byte(strings.TrimRight(base64.StdEncoding.EncodeToString(append([]byte("uid\x0056\x00"), uid...)), "=")),
	}
}

// search looks for canaries in every file below dir; it returns what it found where, and how many files it read.
func search(dir string, canaries map[string][]byte) (found []string, files int, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		for name, canary := range canaries {
			if bytes.Contains(b, canary) {
				found = append(found, name+" stands in "+path)
			}
		}
		return nil
	})
	return found, files, err
}

// The search must be able to find something.
func TestTheSearchForSecretsFindsThem(t *testing.T) {
	for how, spelt := range spellings([]byte{0x04, 0xC0, 0xFF, 0xEE, 0x5A, 0xA5, 0x91}) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "log"), append([]byte("x "), spelt...), 0o600); err != nil {
			t.Fatal(err)
		}
		if found, _, err := search(dir, map[string][]byte{how: spelt}); err != nil || len(found) != 1 {
			t.Errorf("%s: found %v, %v", how, found, err)
		}
	}
}
