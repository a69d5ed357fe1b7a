package agent

import (
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"tapline/agent/session"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// reload changes the configuration and has it read again.
func (p *press) reload(change func(*Config)) (*taplinev1.ReloadResponse, error) {
	p.t.Helper()
	cfg := p.cfg
	change(&cfg)
	p.next.Store(&cfg)
	r, err := p.local.Reload(p.t.Context(), &taplinev1.ReloadRequest{})
	if err == nil {
		p.cfg = cfg
	}
	return r, err
}

func (p *press) reloaded(change func(*Config), applied ...string) {
	p.t.Helper()
	r, err := p.reload(change)
	if err != nil {
		p.t.Fatal(err)
	}
	if !slices.Equal(r.GetApplied(), applied) || len(r.GetPending()) > 0 {
		p.t.Errorf("applied %v, pending %v; want %v", r.GetApplied(), r.GetPending(), applied)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l := listen(t, "127.0.0.1:0")
	defer l.Close()
	return l.Addr().String()
}

// A technician changes everything that can change while Ann works, and she does not notice.
func TestAReloadChangesTheStationUnderAPersonWhoStays(t *testing.T) {
	p := newPress(t)
	p.start()
	p.connected()
	ann := p.tap("left", "ann")

	before := p.agent.journal.Status().Head.Seq
	// Rules, heartbeat, deadline, panel lines.
	p.reloaded(func(c *Config) { c.Session.TapOut, c.Heartbeat = string(session.Never), time.Second }, "heartbeat", "session.tap_out")
	p.until("a heartbeat", func() bool { return p.agent.journal.Status().Head.Seq >= before+2 })
	p.reloaded(func(c *Config) { c.DecideWithin = 300 * time.Millisecond }, "decide_within")
	p.reloaded(func(c *Config) { c.Panel = "none" }, "panel")

	// The page for browsers comes, moves and goes.
	address := freeAddress(t)
	p.reloaded(func(c *Config) { c.Web.Listen = address }, "web.listen")
	if resp, err := http.Get("http://" + address + "/api/v1/presence"); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("the page's address: %v, %v", resp, err)
	} else {
		_ = resp.Body.Close()
	}
	p.reloaded(func(c *Config) { c.Web.Listen = "" }, "web.listen")
	p.until("the listener is gone", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})

	// Another broker: the line is made anew. A broker that is none leaves the station to its grants.
	real := p.broker.Addresses[0]
	p.reloaded(func(c *Config) { c.Brokers = []string{"127.0.0.1:1"} }, "brokers")
	p.until("the line to no broker is down", func() bool { return !p.agent.line.Connected() && p.agent.line.State().Broker == "127.0.0.1:1" })
	p.reloaded(func(c *Config) { c.Brokers = []string{real} }, "brokers")
	p.connected()

	if here := p.agent.Presence(); here.GetSession() != ann.GetSession() {
		t.Errorf("after the reloads %v is here, not Ann in her session", here)
	}
	p.stop()
	wantStory(t, slices.DeleteFunc(p.story(), func(s string) bool { return s == "station.heartbeat" }), "station.started", "opened p-ann by broker",
		"closed p-ann: agent-stopped", "station.stopped")
}

func TestAReaderComesAndGoesWithTheConfiguration(t *testing.T) {
	p := newPress(t)
	p.cfg.Session.LeaveTheCard, p.cfg.Session.ReaderGrace, p.cfg.Session.CardGrace = true, 20*time.Millisecond, time.Hour
	p.start()
	p.connected()
	far, near, err := pty.Open()
	if err != nil {
		t.Skipf("needs: a pseudo-terminal: %v", err)
	}
	t.Cleanup(func() { _, _ = far.Close(), near.Close() })
	p.reloaded(func(c *Config) { c.Readers.Serial = []Serial{{Device: near.Name(), Name: "door", Format: "text"}} }, "readers.serial")
	p.until("the serial reader works", func() bool { return slices.Contains(p.agent.desk.working(), "door") })
	if _, err := far.WriteString("stranger\r\n"); err != nil {
		t.Fatal(err)
	}
	p.sees("a refusal", func(r *taplinev1.WatchPresenceResponse) bool {
		return r.GetNotice().GetKind() == taplinev1.NoticeKind_NOTICE_KIND_REFUSED
	})
	ann := p.tap("left", "ann")
	p.reloaded(func(c *Config) { c.Readers.Serial = nil }, "readers.serial")
	p.until("the serial reader is gone", func() bool { return len(p.agent.Status().GetReaders()) == 2 })
	if here := p.agent.Presence(); here.GetSession() != ann.GetSession() {
		t.Errorf("with the reader went the session: %v", here)
	}
}

// A configuration that is wrong anywhere, in its text, its meaning or on this machine, changes nothing and is told by the key.
func TestAFaultyReloadChangesNothing(t *testing.T) {
	p := newPress(t)
	p.start()
	taken := listen(t, "127.0.0.1:0")
	defer taken.Close()
	before := p.agent.settings()
	for want, spoil := range map[string]func(*Config){
		"mode":              func(c *Config) { c.Mode = "nonsense" },
		"web.listen":        func(c *Config) { c.Web.Listen = taken.Addr().String() },
		"readers.serial[0]": func(c *Config) { c.Readers.Serial = []Serial{{Device: "/dev/ttyS9", Parity: "strange"}} },
	} {
		_, err := p.reload(func(c *Config) {
			c.Session.Longest, c.Heartbeat, c.Brokers, c.Readers.Serial = time.Minute, time.Hour, []string{"127.0.0.1:1"}, []Serial{{Device: "/dev/ttyS8"}}
			spoil(c)
		})
		if wire.KindOf(err) != wire.Precondition || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
		if got := p.agent.settings(); got.Heartbeat != before.Heartbeat || len(got.Brokers) > 0 || got.Session != before.Session || len(p.agent.rack.keys) != 1 {
			t.Errorf("%s: changed to %+v", want, got)
		}
		if p.agent.loop.heartbeat() != before.Heartbeat || p.agent.loop.currentRules().Longest != before.Session.Longest {
			t.Errorf("%s: the loop has other rules", want)
		}
	}
	r, err := p.reload(func(c *Config) { c.KeyStore = "auto" })
	if err != nil || !slices.Equal(r.GetPending(), []string{"keystore"}) || len(r.GetApplied()) > 0 {
		t.Errorf("what needs a restart: %v, %v", r, err)
	}
}
