//go:build linux

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"tapline/reader/vcard/vpcd"
	"tapline/scripts/rig"
)

// programs is where TestMain built the programs; empty when these tests cannot run here, with the reason beside it.
var programs, missing = "", ""

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if err := vpcd.Available(); err != nil {
		missing = err.Error()
		return m.Run()
	}
	code, again, err := vpcd.Isolate(context.Background())
	switch {
	case err != nil:
		missing = err.Error()
		return m.Run()
	case again:
		return code
	}
	bin, err := os.MkdirTemp("", "tapline-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(bin)
	build := exec.Command("go", "build", "-o", bin, "tapline/agent/cmd/tapagent", "tapline/broker/cmd/tapbroker",
		"tapline/broker/cmd/tapctl", "tapline/broker/cmd/tapaudit", "tapline/scripts/rig/cmd/tapbench")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the programs: %v\n%s", err, out)
		return 1
	}
	programs = bin
	return m.Run()
}

// plant makes a plant with a running broker that ends with the test. Its folder is kept when the test fails and TAPLINE_KEEP is set.
func plant(t *testing.T, readers ...string) *rig.Plant {
	t.Helper()
	if programs == "" {
		t.Skip("needs: " + missing)
	}
	dir, err := os.MkdirTemp("", "tapline-e2e-plant-")
	if err != nil {
		t.Fatal(err)
	}
	p, err := rig.New(t.Context(), dir, programs, readers...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("close the plant: %v", err)
		}
		if t.Failed() && os.Getenv("TAPLINE_KEEP") != "" {
			t.Logf("kept: %s", dir)
			return
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := p.StartBroker(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

const press = "plant/press/line-4/hmi-1"

// staffed is a plant with one station, its agent running, and people with badges.
func staffed(t *testing.T, people int, readers ...string) (*rig.Plant, *rig.Station, []rig.Person) {
	t.Helper()
	p := plant(t, readers...)
	crew := rig.People(people)
	if _, err := p.Ctl(t.Context(), "account", "put", "press-hmi", "--station", "plant/press/"); err != nil {
		t.Fatal(err)
	}
	if err := p.Hire(t.Context(), crew...); err != nil {
		t.Fatal(err)
	}
	s, err := p.Enrol(t.Context(), press, "press-hmi", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.AwaitBundle(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p, s, crew
}

// within is a context for one step of a test.
func within(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

// verdict is what tapaudit verify --json says.
type verdict struct {
	OK       bool            `json:"ok"`
	Records  int             `json:"records"`
	Stations int             `json:"stations"`
	FirstBad json.RawMessage `json:"first_bad"`
}

// verify runs tapaudit over evidence and wants it good.
func verify(t *testing.T, p *rig.Plant, path string) verdict {
	t.Helper()
	out, err := p.Run(t.Context(), "tapaudit", "verify", "--json", path)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var v verdict
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatal(err)
	}
	if !v.OK || v.Records == 0 {
		t.Fatalf("tapaudit verify %s: %s", path, out)
	}
	return v
}

// export takes the evidence from the broker.
func export(t *testing.T, p *rig.Plant) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "evidence")
	if _, err := p.Ctl(t.Context(), "export", dir); err != nil {
		t.Fatal(err)
	}
	return dir
}
