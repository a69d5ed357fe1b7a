package agent

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/agent/identity"
	"tapline/installer/osservice"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
	"tapline/reader"
)

func wantStory(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("story\n got %q\nwant %q", got, want)
	}
}

func TestAShiftAtThePress(t *testing.T) {
	p := newPress(t)
	p.start()
	p.connected()
	if who := p.tap("left", "ann"); who.GetDecidedBy() != "broker" || who.GetAccount() != "press" {
		t.Errorf("Ann is here as %v", who)
	}
	if n := p.refused("right", "eve"); n.GetRefusal() != taplinev1.RefusalCause_REFUSAL_CAUSE_UNKNOWN_BADGE || n.GetHelpCode() != "K4F2ZT" {
		t.Errorf("the stranger reads %v", n)
	}
	who := p.tap("right", "ben")
	if _, err := p.local.EndSession(t.Context(), &taplinev1.EndSessionRequest{Session: "another"}); err == nil {
		t.Error("a session that is not in force was ended")
	}
	if _, err := p.local.EndSession(t.Context(), &taplinev1.EndSessionRequest{Session: who.GetSession()}); err != nil {
		t.Fatal(err)
	}
	here, err := p.local.WhoIsHere(t.Context(), &taplinev1.WhoIsHereRequest{})
	if err != nil || here.GetPresence().GetState() != taplinev1.PresenceState_PRESENCE_STATE_IDLE {
		t.Errorf("after the end: %v, %v", here, err)
	}
	p.until("the broker has all records", func() bool {
		s := p.agent.journal.Status()
		return s.Acked == s.Head.Seq
	})
	p.stop()
	wantStory(t, p.story(), "station.started", "opened p-ann by broker", "refused: unknown-badge by broker",
		"handed over p-ann to p-ben by broker", "closed p-ben: tap-out", "station.stopped")
	for _, line := range []string{"press-4  ANN is here (", "press-4  this badge is not known", "press-4  BEN is here (", "press-4  nobody is here"} {
		if !strings.Contains(p.panel.String(), line) {
			t.Errorf("the panel never says %q:\n%s", line, p.panel)
		}
	}
	if got := len(p.broker.Station(pressName).Records); got < 8 {
		t.Errorf("the broker has %d records", got)
	}
}

func TestTheBrokerGoesAndComesBack(t *testing.T) {
	p := newPress(t)
	address := p.broker.Addresses[0]
	p.start()
	p.connected()
	p.tap("left", "ann")
	p.off()
	p.until("the line is down", func() bool { return !p.agent.line.Connected() })
	if who := p.tap("left", "ben"); who.GetDecidedBy() != "bundle" {
		t.Errorf("decided by %q", who.GetDecidedBy())
	}
	if n := p.refused("left", "eve"); n.GetRefusal() != taplinev1.RefusalCause_REFUSAL_CAUSE_UNKNOWN_BADGE {
		t.Errorf("the stranger reads %v", n)
	}
	p.broker.ServeOn(t, listen(t, address))
	p.until("the broker has all records", func() bool {
		s := p.agent.journal.Status()
		return p.agent.line.Connected() && s.Acked == s.Head.Seq
	})
	p.stop()
	wantStory(t, p.story(), "station.started", "opened p-ann by broker", "handed over p-ann to p-ben by bundle", "refused: unknown-badge by bundle",
		"closed p-ben: agent-stopped", "station.stopped")
}

func TestASilentBrokerCostsOneTapItsDeadlineAndTheNextNothing(t *testing.T) {
	p := newPress(t)
	p.cfg.DecideWithin = 300 * time.Millisecond
	p.start()
	p.connected()
	release := p.block()
	defer release()
	p.tap("left", "ann")
	p.until("the breaker opens", func() bool { return !p.agent.line.Connected() })
	p.tap("left", "ben")
	p.stop()
	var took []int64
	for line := range strings.Lines(p.log.String()) {
		var tap struct {
			Msg    string `json:"msg"`
			By     string `json:"decided_by"`
			Decide int64  `json:"decide_us"`
		}
		if json.Unmarshal([]byte(line), &tap) == nil && tap.Msg == "tap" {
			took = append(took, tap.Decide)
			if tap.By != "bundle" {
				t.Errorf("decided by %q", tap.By)
			}
		}
	}
	if len(took) != 2 || took[0] < 300_000 || took[1] > 100_000 {
		t.Errorf("decisions took %v us, want the deadline of 300 ms, then next to nothing", took)
	}
}

func TestADeadAgentsSessionIsClosedAtTheNextStart(t *testing.T) {
	p := newPress(t)
	p.start()
	p.connected()
	p.tap("left", "ann")
	p.off() // so that the broker never hears of the orderly end below
	p.until("the line is down", func() bool { return !p.agent.line.Connected() })
	image := filepath.Join(t.TempDir(), "image") // as a power cut would leave it
	p.copy(p.cfg.StateDir, image)
	p.stop()
	if err := os.RemoveAll(p.cfg.StateDir); err != nil {
		t.Fatal(err)
	}
	p.copy(image, p.cfg.StateDir)
	p.broker.ServeOn(t, listen(t, p.broker.Addresses[0]))
	p.start()
	p.connected()
	p.tap("left", "ben")
	p.until("the broker knows of the dead agent's session", func() bool { // by a call, or by the record, whichever comes first
		told := slices.ContainsFunc(p.broker.Closed(), func(c *taplinev1.CloseSessionRequest) bool {
			return c.GetCause() == taplinev1.EndCause_END_CAUSE_AGENT_DIED
		})
		s := p.agent.journal.Status()
		return told || s.Acked == s.Head.Seq
	})
	p.stop()
	wantStory(t, p.story(), "station.started", "opened p-ann by broker", "station.started", "closed p-ann: agent-died",
		"opened p-ben by broker", "closed p-ben: agent-stopped", "station.stopped")
}

func TestWhatAReaderCannotReadIsSaid(t *testing.T) {
	p := newPress(t)
	p.start()
	p.reader.Unreadable("left", reader.RandomNumber)
	p.sees("that it cannot read", func(r *taplinev1.WatchPresenceResponse) bool {
		return r.GetNotice().GetKind() == taplinev1.NoticeKind_NOTICE_KIND_UNREADABLE
	})
	p.reader.Detach("left", reader.ReaderGone)
	p.sees("a reader that is gone", func(r *taplinev1.WatchPresenceResponse) bool {
		return r.GetNotice().GetKind() == taplinev1.NoticeKind_NOTICE_KIND_READER
	})
	st, err := p.local.GetStatus(t.Context(), &taplinev1.GetStatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if r := st.GetReaders()[0]; r.GetAttached() || r.GetReason() != "reader-gone" {
		t.Errorf("reader %v", r)
	}
	p.stop()
	wantStory(t, p.story(), "station.started", "refused: random-number", "station.stopped")
}

func TestTheBrokerRevokesASession(t *testing.T) {
	p := newPress(t)
	revoke := make(chan string, 1)
	p.broker.Commands = func() []*taplinev1.StreamCommandsResponse {
		id := <-revoke
		return []*taplinev1.StreamCommandsResponse{{
			Command: "c1", BrokerTime: timestamppb.Now(),
			What: &taplinev1.StreamCommandsResponse_EndSession{EndSession: &taplinev1.EndSession{Session: id, Cause: taplinev1.EndCause_END_CAUSE_ELSEWHERE}},
		}}
	}
	p.start()
	p.connected()
	revoke <- p.tap("left", "ann").GetSession()
	p.sees("nobody", func(r *taplinev1.WatchPresenceResponse) bool {
		return r.GetPresence().GetState() == taplinev1.PresenceState_PRESENCE_STATE_IDLE
	})
	p.until("the result of the command", func() bool { return len(p.broker.Results()) == 1 && p.broker.Results()[0].GetDone() })
	p.stop()
	wantStory(t, p.story(), "station.started", "opened p-ann by broker", "closed p-ann: elsewhere", "station.stopped")
}

func TestHeartbeatsComeAndSayWhoIsThere(t *testing.T) {
	p := newPress(t)
	p.cfg.Heartbeat = time.Second
	p.start()
	p.until("a heartbeat", func() bool { return p.agent.journal.Status().Head.Seq >= 4 })
	p.stop()
	if !slices.Contains(p.story(), "station.heartbeat") {
		t.Errorf("story %q", p.story())
	}
}

func TestNoBadgeNumberAnywhere(t *testing.T) {
	p := newPress(t)
	p.start()
	p.connected()
	p.tap("left", "ann")
	p.refused("left", "eve")
	p.off()
	p.until("the line is down", func() bool { return !p.agent.line.Connected() })
	p.tap("left", "ben")
	p.stop()
	for _, person := range []string{"ann", "eve", "ben"} {
		number := uid(person).Canonical()
		raw := number[bytes.LastIndexByte(number, 0)+1:]
		for name, b := range p.everything() {
			lower := bytes.ToLower(b)
			for _, spelt := range [][]byte{raw, []byte(hex.EncodeToString(raw)), []byte(base64.StdEncoding.EncodeToString(raw)), []byte(base64.StdEncoding.EncodeToString(number))} {
				if bytes.Contains(b, spelt) || bytes.Contains(lower, bytes.ToLower(spelt)) {
					t.Errorf("%s holds the badge number of %s as %q", name, person, spelt)
				}
			}
		}
	}
}

func TestAnUnknownBadgeIsClaimedByWhoIsHereOrByAPIN(t *testing.T) {
	p := newPress(t)
	p.start()
	p.connected()
	code := p.refused("right", "eve").GetHelpCode()
	claim := func(person, pin string) (*taplinev1.ClaimBadgeResponse, error) {
		return p.local.ClaimBadge(t.Context(), &taplinev1.ClaimBadgeRequest{Code: code, Person: person, Pin: pin})
	}
	if _, err := claim("", ""); wire.KindOf(err) != wire.Precondition {
		t.Errorf("nobody is here, and no person is named: %v", err)
	}
	if _, err := claim("p-eve", ""); wire.KindOf(err) != wire.Invalid {
		t.Errorf("a person without a PIN: %v", err)
	}
	if _, err := claim("p-eve", "9999"); wire.KindOf(err) != wire.Denied {
		t.Errorf("a wrong PIN: %v", err)
	}
	if r, err := claim("p-eve", "1234"); err != nil || r.GetApproved() || r.GetPerson() != "p-eve" || r.GetExpiresAt() == nil {
		t.Errorf("a good PIN: %v, %v", r, err)
	}
	p.tap("left", "ann")
	if r, err := claim("", ""); err != nil || !r.GetApproved() {
		t.Errorf("Ann is here: %v, %v", r, err)
	}
	p.off()
	p.until("the line is down", func() bool { return !p.agent.line.Connected() })
	if _, err := claim("", ""); wire.KindOf(err) != wire.Unavailable {
		t.Errorf("the broker is away: %v", err)
	}
	p.stop()
	for name, b := range p.everything() {
		if bytes.Contains(b, []byte("1234\"")) || bytes.Contains(b, []byte("9999\"")) {
			t.Errorf("%s holds a PIN", name)
		}
	}
}

func TestNewSaysWhatIsWrong(t *testing.T) {
	p := newPress(t)
	p.start()
	_, err := New(p.cfg, Options{})
	if osservice.CodeOf(err) != osservice.Failure || !strings.Contains(osservice.HintOf(err), "another agent") {
		t.Errorf("a second agent: %v (hint %q)", err, osservice.HintOf(err))
	}
	p.stop()
	cfg := p.cfg
	cfg.Station = "plant/packing/line-3/press-5"
	if _, err := New(cfg, Options{}); osservice.CodeOf(err) != osservice.Config {
		t.Errorf("another station's configuration: %v", err)
	}
	cfg = p.cfg
	cfg.StateDir = t.TempDir()
	if _, err := New(cfg, Options{}); osservice.CodeOf(err) != osservice.Config || !strings.Contains(err.Error(), identity.ErrNotEnrolled.Error()) {
		t.Errorf("not enrolled: %v", err)
	}
	cfg.Mode, cfg.Panel = "open", "hologram"
	if _, err := New(cfg, Options{}); osservice.CodeOf(err) != osservice.Config || !strings.Contains(err.Error(), "hologram") || !strings.Contains(err.Error(), "mode") {
		t.Errorf("two faults at once: %v", err)
	}
}
