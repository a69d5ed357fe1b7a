package agent

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
)

// pamModule builds the module that packages bring.
func pamModule(t *testing.T) string {
	t.Helper()
	if os.Getenv("TAPLINE_SUITE") == "quick" {
		t.Skip("needs: full suite")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs: root")
	}
	if _, err := exec.LookPath("pamtester"); err != nil {
		t.Skip("needs: pamtester")
	}
	if _, err := os.Stat("/usr/include/security/pam_modules.h"); err != nil {
		t.Skip("needs: libpam0g-dev")
	}
	module := filepath.Join(t.TempDir(), "pam_tapline.so")
	build := exec.Command("gcc", "-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC", "-o", module, "../installer/linux/pam/pam_tapline.c", "-lpam")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the module: %v\n%s", err, out)
	}
	return module
}

// signsIn runs a real sign-in of an account under that stack, whose configuration only that program sees, and gives what it said.
func signsIn(t *testing.T, account string, stack ...string) (said string, in bool) {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "press"), []byte(strings.Join(stack, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	script := "mount --bind " + folder + " /etc/pam.d && exec pamtester press " + account + " authenticate"
	out, err := exec.Command("unshare", "--mount", "sh", "-c", script).CombinedOutput()
	return string(out), err == nil
}

func TestTheSystemsSignInAsksTheAgent(t *testing.T) {
	module := pamModule(t)
	p := newPress(t)
	p.cfg.Mode = string(record.ModeSignIn)
	socket := " socket=" + filepath.Join(filepath.Dir(p.cfg.Socket), "pam.sock")
	control := "auth [success=done auth_err=die default=ignore] " + module
	open := []string{control + socket, "auth required pam_permit.so"} // what follows, the password, lets everybody in
	shut := []string{control + socket, "auth required pam_deny.so"}

	p.start()
	p.connected()
	if said, in := signsIn(t, "nobody", open...); in || !strings.Contains(said, "Tap your badge") {
		t.Errorf("nobody has tapped, and the sign-in said %q, in: %t", said, in)
	}
	if said, in := signsIn(t, "root", open...); !in {
		t.Errorf("root was kept out: %q", said)
	}
	p.tap("left", "ann")
	if said, in := signsIn(t, "nobody", shut...); !in {
		t.Errorf("Ann is here, and the sign-in said %q", said)
	}
	end := p.agent.hub.presence().GetSession()
	if _, err := p.local.EndSession(t.Context(), &taplinev1.EndSessionRequest{Session: end}); err != nil {
		t.Fatal(err)
	}
	if _, in := signsIn(t, "nobody", open...); in {
		t.Error("Ann has gone, and the sign-in goes on")
	}
	if r, err := p.local.Authorize(t.Context(), &taplinev1.AuthorizeRequest{Account: "nobody", Service: "login"}); err != nil || r.GetAllowed() {
		t.Errorf("the local API says %v, %v", r, err)
	}
	if _, err := p.local.BeginEmergency(t.Context(), &taplinev1.BeginEmergencyRequest{Reason: "alarm"}); err != nil {
		t.Fatal(err)
	}
	if said, in := signsIn(t, "nobody", shut...); !in {
		t.Errorf("in an emergency the sign-in said %q", said)
	}
	p.stop()
	if said, in := signsIn(t, "nobody", open...); !in {
		t.Errorf("the agent is away, and the password was not asked: %q", said)
	}
	if _, in := signsIn(t, "nobody", shut...); in {
		t.Error("the agent is away, and nobody asked for a password")
	}
}
