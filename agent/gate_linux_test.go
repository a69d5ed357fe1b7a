package agent

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"go.uber.org/zap"

	"tapline/agent/gate"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
)

// asAnother makes this test program another one: the helper of a graphical session, or an agent of its own, that can be killed.
const asAnother = "TAPLINE_TEST_RUNS"

// TestRunsAsAnother is no test: it is what the programs above are.
func TestRunsAsAnother(t *testing.T) {
	kind, what, _ := strings.Cut(os.Getenv(asAnother), "=")
	switch kind {
	case "gate":
		err := gate.Run(context.Background(), gate.Config{Socket: what, Display: os.Getenv("DISPLAY"), Wayland: os.Getenv("WAYLAND_DISPLAY") != "", Log: zap.NewNop()})
		t.Log(err)
	case "agent":
		cfg, err := LoadConfig(what)
		if err != nil {
			t.Fatal(err)
		}
		a, err := New(cfg, Options{Build: "test"})
		if err != nil {
			t.Fatal(err)
		}
		t.Log(a.Run(context.Background()))
	}
}

// another starts one; kill ends it as a crash does.
func another(t *testing.T, kind, what string, env ...string) (kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestRunsAsAnother$")
	cmd.Env = append(append(os.Environ(), env...), asAnother+"="+kind+"="+what)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() { _ = cmd.Process.Signal(syscall.SIGKILL); _ = cmd.Wait() }
	t.Cleanup(kill)
	return kill
}

// desktop is a real X server with a terminal on it, in which somebody types.
type desktop struct {
	t       *testing.T
	display string
	typed   string // file that holds what the terminal got
	server  *exec.Cmd
	term    *exec.Cmd
}

func newDesktop(t *testing.T) *desktop {
	t.Helper()
	if os.Getenv("TAPLINE_SUITE") == "quick" {
		t.Skip("needs: full suite")
	}
	for program, debian := range map[string]string{"Xvfb": "xvfb", "xdotool": "xdotool", "xterm": "xterm", "import": "imagemagick"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("needs: " + debian)
		}
	}
	d := &desktop{t: t, typed: filepath.Join(t.TempDir(), "typed")}
	d.start()
	t.Cleanup(d.stop)
	return d
}

// start starts the server, on the display that it had if it had one.
func (d *desktop) start() {
	d.t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		d.t.Fatal(err)
	}
	args := []string{"-displayfd", "3", "-screen", "0", "800x480x24", "-nolisten", "tcp", "-noreset"}
	if d.display != "" {
		args = append([]string{d.display}, args...)
	}
	d.server = exec.Command("Xvfb", args...)
	d.server.ExtraFiles = []*os.File{w}
	if err := d.server.Start(); err != nil {
		d.t.Fatal(err)
	}
	_ = w.Close()
	number, err := io.ReadAll(r)
	if err != nil || len(number) == 0 {
		d.t.Fatalf("no X server: %q, %v", number, err)
	}
	d.display = ":" + strings.TrimSpace(string(number))
	d.term = d.command("xterm", "-geometry", "100x20+0+120", "-e", "sh", "-c", "echo the view; exec cat >>"+d.typed)
	if err := d.term.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.until("the terminal is there", func() bool {
		return d.command("xdotool", "search", "--onlyvisible", "--class", "xterm").Run() == nil
	})
	d.does("mousemove", "300", "300")
	d.types("before")
}

func (d *desktop) stop() {
	_ = d.term.Process.Kill()
	_ = d.server.Process.Kill()
	_ = d.term.Wait()
	_ = d.server.Wait()
}

func (d *desktop) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "DISPLAY="+d.display)
	return cmd
}

func (d *desktop) does(args ...string) {
	d.t.Helper()
	if out, err := d.command("xdotool", args...).CombinedOutput(); err != nil {
		d.t.Fatalf("xdotool %q: %v\n%s", args, err, out)
	}
}

func (d *desktop) until(what string, ok func() bool) {
	d.t.Helper()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-limit.C:
			d.t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

// got reports whether the terminal got the word.
func (d *desktop) got(word string) bool {
	b, _ := os.ReadFile(d.typed)
	return bytes.Contains(b, []byte(word))
}

// types types a word until the terminal has it, and says how long that took.
func (d *desktop) types(word string) time.Duration {
	d.t.Helper()
	began := time.Now()
	d.until("the terminal gets "+word, func() bool {
		d.does("type", "--delay", "1", word+"\n")
		return d.got(word)
	})
	return time.Since(began)
}

// view is what is on the screen below the banner.
func (d *desktop) view() image.Image {
	d.t.Helper()
	out, err := d.command("import", "-window", "root", "png:-").Output()
	if err != nil {
		d.t.Fatal(err)
	}
	shot, err := png.Decode(bytes.NewReader(out))
	if err != nil {
		d.t.Fatal(err)
	}
	return shot
}

// differs counts the pixels in a part of the screen that are not the same.
func differs(a, b image.Image, part image.Rectangle) (n int) {
	for y := part.Min.Y; y < part.Max.Y; y++ {
		for x := part.Min.X; x < part.Max.X; x++ {
			if color.RGBAModel.Convert(a.At(x, y)) != color.RGBAModel.Convert(b.At(x, y)) {
				n++
			}
		}
	}
	return n
}

// cursor is how many pixels the cursor of the terminal has, which shows that it has lost the keyboard.
const cursor = 6 * 13

// gated is a station in the mode gate, with its helper on a desktop.
func gated(t *testing.T) (p *press, d *desktop) {
	t.Helper()
	d = newDesktop(t)
	p = newPress(t)
	p.cfg.Mode = string(record.ModeGate)
	return p, d
}

// mode waits until that mode is in force.
func (p *press) mode(want record.Mode, why string) {
	p.t.Helper()
	p.until(fmt.Sprintf("mode %s, %q", want, why), func() bool {
		st, err := p.local.GetStatus(p.t.Context(), &taplinev1.GetStatusRequest{})
		return err == nil && modeWord(st.GetMode().GetInForce()) == want && st.GetMode().GetReason() == why
	})
}

func TestTheGateHoldsTheInputAndShowsTheView(t *testing.T) {
	p, d := gated(t)
	p.start()
	p.connected()
	p.mode(record.ModeAttribute, "no-helper")
	before := d.view()
	kill := another(t, "gate", p.cfg.Socket, "DISPLAY="+d.display)
	p.mode(record.ModeGate, "")
	during := d.view()
	if n := differs(before, during, image.Rect(0, 120, 800, 480)); n > cursor {
		t.Errorf("the gate changed %d pixels of the view", n)
	}
	if n := differs(before, during, image.Rect(0, 0, 800, 80)); n == 0 {
		t.Error("no banner")
	}
	d.does("type", "--delay", "1", "during\n")
	p.tap("left", "ann")
	t.Logf("typing reached the view %s after the tap", d.types("named"))
	end := p.agent.hub.presence().GetSession()
	if _, err := p.local.EndSession(t.Context(), &taplinev1.EndSessionRequest{Session: end}); err != nil {
		t.Fatal(err)
	}
	p.until("shut again", func() bool { return p.shut() })
	d.does("type", "--delay", "1", "during\n")
	kill() // as a crash: the X server takes the input back
	t.Logf("typing reached the view %s after the helper was killed", d.types("killed"))
	p.mode(record.ModeAttribute, "no-helper")
	another(t, "gate", p.cfg.Socket, "DISPLAY="+d.display)
	p.mode(record.ModeGate, "")
	d.does("type", "--delay", "1", "during\n")
	p.stop()
	d.types("stopped")
	if d.got("during") {
		t.Error("what was typed while nobody was there reached the view")
	}
	p.wantModes("attribute: no-helper", "gate: as-configured", "attribute: no-helper", "gate: as-configured")
}

// shut reports whether a helper holds the input now.
func (p *press) shut() bool {
	return p.agent.keeper.State().InForce == record.ModeGate && p.agent.helpers.Shut()
}

// wantModes asserts the changes of the mode in the journal.
func (p *press) wantModes(want ...string) {
	p.t.Helper()
	var got []string
	for _, r := range p.payloads() {
		if r.Type == record.ModeChanged {
			got = append(got, fmt.Sprintf("%s: %s", r.Mode, r.Reason))
		}
	}
	wantStory(p.t, got, want...)
}

func TestTheEmergencyButtonOfTheGate(t *testing.T) {
	p, d := gated(t)
	p.start()
	p.connected()
	another(t, "gate", p.cfg.Socket, "DISPLAY="+d.display)
	p.mode(record.ModeGate, "")
	d.does("mousemove", "600", "40", "click", "1") // too short
	d.does("mousemove", "600", "40", "mousedown", "1")
	p.sees("an emergency", func(c *taplinev1.WatchPresenceResponse) bool {
		return c.GetPresence().GetState() == taplinev1.PresenceState_PRESENCE_STATE_EMERGENCY
	})
	d.does("mouseup", "1", "mousemove", "300", "300")
	d.types("emergency")
	p.mode(record.ModeGate, "")
	p.stop()
	if first := p.first(record.EmergencyOpened); first == nil || first.Mode != record.ModeGate {
		t.Errorf("the emergency is recorded as %+v", first)
	}
}

func TestTheXServerIsRestartedUnderTheGate(t *testing.T) {
	p, d := gated(t)
	p.start()
	p.connected()
	another(t, "gate", p.cfg.Socket, "DISPLAY="+d.display)
	p.mode(record.ModeGate, "")
	d.stop()
	p.mode(record.ModeAttribute, "no-display")
	p.tap("left", "ann")
	d.start()
	p.mode(record.ModeGate, "")
	d.types("back")
	p.stop()
	p.wantModes("attribute: no-helper", "gate: as-configured", "attribute: no-display", "gate: as-configured")
}

func TestOnWaylandNothingIsHeld(t *testing.T) {
	p, d := gated(t)
	p.start()
	another(t, "gate", p.cfg.Socket, "DISPLAY="+d.display, "WAYLAND_DISPLAY=wayland-0")
	p.mode(record.ModeAttribute, "wayland")
	d.types("open")
	p.stop()
	p.wantModes("attribute: no-helper", "attribute: wayland")
}

func TestTheGateOpensWhenTheAgentIsKilled(t *testing.T) {
	p, d := gated(t)
	p.cfg.Readers.PCSC.Enabled = false
	file := filepath.Join(t.TempDir(), "agent.yaml")
	b, err := yaml.Marshal(p.cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	kill := another(t, "agent", file)
	another(t, "gate", p.cfg.Socket, "DISPLAY="+d.display)
	plain := d.view()
	d.until("a banner", func() bool { return differs(plain, d.view(), image.Rect(0, 0, 800, 80)) > 0 })
	d.does("type", "--delay", "1", "during\n")
	kill()
	took := d.types("killed")
	t.Logf("typing reached the view %s after the agent was killed", took)
	if d.got("during") {
		t.Error("the gate was open before")
	}
	another(t, "agent", file)
	d.until("a banner again", func() bool { return differs(plain, d.view(), image.Rect(0, 0, 800, 80)) > 0 })
}
