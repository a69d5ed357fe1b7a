package agent

import (
	"os"
	"strings"
	"testing"
	"time"

	"tapline/proto/ledger"
	"tapline/proto/record/coverage"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

func (p *press) emergency(reason string) *taplinev1.BeginEmergencyResponse {
	p.t.Helper()
	e, err := p.local.BeginEmergency(p.t.Context(), &taplinev1.BeginEmergencyRequest{Reason: reason})
	if err != nil {
		p.t.Fatal(err)
	}
	return e
}

// opened asserts that the station is open in that emergency, now.
func (p *press) opened(id string) {
	p.t.Helper()
	if who := p.agent.Presence(); who.GetState() != taplinev1.PresenceState_PRESENCE_STATE_EMERGENCY || who.GetEmergency().GetId() != id || who.GetPerson() != nil {
		p.t.Errorf("the station shows %v, want emergency %s", who, id)
	}
}

func TestAnEmergencyOpensTheStationWhileTheDiskHangsAndTheBrokerIsSilent(t *testing.T) {
	p := newPress(t)
	disk := &hungDisk{FS: ledger.OS()}
	p.disk = disk
	p.cfg.DecideWithin = 300 * time.Millisecond
	p.start()
	p.connected()
	p.tap("left", "ann")
	release := p.block()
	defer release()
	disk.mu.Lock()
	p.reader.Tap("right", uid("ben")) // his record hangs, and with it the station
	p.sees("that Ben is being decided", func(r *taplinev1.WatchPresenceResponse) bool {
		return r.GetNotice().GetKind() == taplinev1.NoticeKind_NOTICE_KIND_DECIDING
	})
	first := p.emergency("injury")
	p.opened(first.GetEmergency())
	for range 5 {
		if again := p.emergency("alarm"); again.GetEmergency() != first.GetEmergency() {
			t.Errorf("a second press began another emergency: %v", again)
		}
	}
	if want := time.Now().Add(p.cfg.Emergency.ClaimWithin); first.GetClaimBy().AsTime().After(want) {
		t.Errorf("claim by %s, want before %s", first.GetClaimBy().AsTime(), want)
	}
	release()
	disk.mu.Unlock()
	p.until("that all is written", p.agent.journal.Healthy)
	p.tap("left", "ann")
	p.stop()
	story := strings.Join(p.story(), "; ")
	for _, line := range []string{"emergency opened: injury by emergency", "closed p-ann: emergency", "closed : tap-in", "opened p-ann by"} {
		if !strings.Contains(story, line) {
			t.Errorf("the journal never says %q:\n%s", line, story)
		}
	}
	if strings.Contains(story, "p-ben by") {
		t.Errorf("who tapped before the emergency ended it:\n%s", story)
	}
	if !strings.Contains(p.panel.String(), "EMERGENCY (injury") {
		t.Errorf("the panel says\n%s", p.panel)
	}
	if got := p.day(); got[coverage.Emergency] <= 0 {
		t.Errorf("no time of the day was an emergency: %v", got)
	}
}

func TestAnEmergencyNeedsNoBrokerAndNoGrants(t *testing.T) {
	p := newPress(t)
	p.off()
	if err := os.RemoveAll(bundleDir(p.cfg.StateDir)); err != nil {
		t.Fatal(err)
	}
	p.start()
	e := p.emergency(strings.Repeat("very long words ", 4000))
	p.opened(e.GetEmergency())
	if _, err := p.local.EndSession(t.Context(), &taplinev1.EndSessionRequest{Session: e.GetEmergency()}); err != nil {
		t.Error(err)
	}
	p.stop()
	wantStory(t, p.story(), "station.started", "emergency opened: other by emergency", "closed : ended-here", "station.stopped")
}

func TestAnEmergencyGoesOnAfterTheAgentWasStopped(t *testing.T) {
	p := newPress(t)
	p.start()
	p.connected()
	e := p.emergency("jam")
	p.stop()
	p.start()
	p.sees("the emergency of before", func(r *taplinev1.WatchPresenceResponse) bool { return r.GetPresence().GetEmergency() != nil })
	p.opened(e.GetEmergency())
	if again := p.emergency("jam"); again.GetEmergency() != e.GetEmergency() {
		t.Errorf("after a restart another emergency began: %v", again)
	}
	p.connected()
	p.tap("left", "ann")
	p.stop()
	p.start()
	r := p.sees("the emergency that nobody has claimed", func(r *taplinev1.WatchPresenceResponse) bool { return len(r.GetPresence().GetUnclaimed()) > 0 })
	if list := r.GetPresence().GetUnclaimed(); len(list) != 1 || list[0].GetId() != e.GetEmergency() || list[0].GetMissing() != 2 {
		t.Errorf("unclaimed after two restarts: %v", list)
	}
	p.stop()
	wantStory(t, p.story(), "station.started", "emergency opened: jam by emergency", "station.stopped",
		"station.started", "opened p-ann by broker", "closed : tap-in", "closed p-ann: agent-stopped", "station.stopped", "station.started", "station.stopped")
}

func TestTwoPeopleAnswerForAnEmergencyAcrossARestart(t *testing.T) {
	p := newPress(t)
	p.start()
	p.connected()
	e := p.emergency("jam")
	p.tap("left", "ann")
	claim := func(note string) uint32 {
		t.Helper()
		got, err := p.local.ClaimEmergency(t.Context(), &taplinev1.ClaimEmergencyRequest{Emergency: e.GetEmergency(), Note: note})
		if err != nil {
			t.Fatal(err)
		}
		return got.GetMissing()
	}
	if _, err := p.local.ClaimEmergency(t.Context(), &taplinev1.ClaimEmergencyRequest{Emergency: "another"}); wire.KindOf(err) != wire.NotFound {
		t.Errorf("an emergency that never was: %v", err)
	}
	if got := claim("jam at the infeed"); got != 2 {
		t.Errorf("%d claims missing", got)
	}
	p.reader.Tap("left", uid("ann"))
	p.sees("Ann's claim", func(r *taplinev1.WatchPresenceResponse) bool { return r.GetNotice().GetMissing() == 1 })
	p.reader.Leave("left")
	p.stop()

	p.start()
	p.connected()
	if got := claim("as Ann says"); got != 1 {
		t.Errorf("after the restart %d claims missing", got)
	}
	p.reader.Tap("right", uid("eve"))
	p.sees("that Eve is nobody", func(r *taplinev1.WatchPresenceResponse) bool {
		return r.GetNotice().GetKind() == taplinev1.NoticeKind_NOTICE_KIND_REFUSED
	})
	p.reader.Leave("right")
	p.reader.Tap("right", uid("ben"))
	p.sees("Ben's claim", func(r *taplinev1.WatchPresenceResponse) bool {
		return r.GetNotice().GetKind() == taplinev1.NoticeKind_NOTICE_KIND_CLAIMED
	})
	if _, err := p.local.ClaimEmergency(t.Context(), &taplinev1.ClaimEmergencyRequest{Emergency: e.GetEmergency()}); wire.KindOf(err) != wire.NotFound {
		t.Errorf("a third claim: %v", err)
	}
	p.stop()
	wantStory(t, p.story(), "station.started", "emergency opened: jam by emergency", "opened p-ann by broker", "closed : tap-in",
		"claimed p-ann: jam at the infeed by station", "closed p-ann: agent-stopped", "station.stopped", "station.started",
		"refused: unknown-badge by broker", "claimed p-ben: as Ann says by broker", "station.stopped")
}
