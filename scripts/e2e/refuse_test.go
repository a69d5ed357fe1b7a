//go:build linux

package e2e

import (
	"errors"
	"strings"
	"testing"

	"tapline/installer/osservice"
	"tapline/proto/wire"
	"tapline/scripts/rig"
)

// refused wants a program to have ended with a code, saying some words and what to do next.
func refused(t *testing.T, err error, code osservice.ExitCode, says string) {
	t.Helper()
	var exit *rig.Exit
	if !errors.As(err, &exit) {
		t.Fatalf("got %v, want it refused", err)
	}
	if exit.Code != int(code) || !strings.Contains(strings.ToLower(exit.Stderr), says) {
		t.Errorf("exit %d, want %d (%s), saying %q:\n%s", exit.Code, int(code), code, says, exit.Stderr)
	}
	if !strings.Contains(exit.Stderr, "hint:") {
		t.Errorf("no hint:\n%s", exit.Stderr)
	}
}

func token(t *testing.T, p *rig.Plant, station string) string {
	t.Helper()
	out, err := p.Ctl(t.Context(), "token", "create", station, "--new")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

func TestATokenEnrolsOneStationOnce(t *testing.T) {
	p := plant(t, "Reader A")
	tok := token(t, p, press)
	first, err := p.Prepare(press, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.EnrolWith(t.Context(), tok); err != nil {
		t.Fatal(err)
	}
	thief, err := p.Prepare("thief/of/tokens/x", "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = thief.EnrolWith(t.Context(), tok)
	refused(t, err, osservice.Refused, "used")
}

func TestATokenForAnotherRootIsNotFollowed(t *testing.T) {
	p := plant(t, "Reader A")
	forged, err := wire.ParseToken(token(t, p, press))
	if err != nil {
		t.Fatal(err)
	}
	forged.Root[0] ^= 1
	s, err := p.Prepare(press, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.EnrolWith(t.Context(), forged.Encode())
	refused(t, err, osservice.Refused, "root")
}

func TestARevokedTokenAndADamagedOne(t *testing.T) {
	p := plant(t, "Reader A")
	tok := token(t, p, press)
	var listed []struct {
		ID string `json:"id"`
	}
	if err := p.CtlJSON(t.Context(), &listed, "token", "list"); err != nil || len(listed) != 1 {
		t.Fatalf("got %v, %v", listed, err)
	}
	if _, err := p.Ctl(t.Context(), "token", "revoke", listed[0].ID); err != nil {
		t.Fatal(err)
	}
	s, err := p.Prepare(press, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.EnrolWith(t.Context(), tok)
	refused(t, err, osservice.Refused, "token")
	_, err = s.EnrolWith(t.Context(), tok[:len(tok)-10])
	refused(t, err, osservice.Usage, "token")
}

func TestAnAgentThatIsNotEnrolledSaysSo(t *testing.T) {
	p := plant(t, "Reader A")
	s, err := p.Prepare(press, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Run(t.Context(), "tapagent", "run", "--config", s.Config())
	refused(t, err, osservice.Config, "enrol")
}
