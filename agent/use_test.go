package agent

import (
	"strings"
	"testing"
	"time"

	"tapline/agent/session"
	"tapline/proto/record"
	"tapline/proto/record/coverage"
	taplinev1 "tapline/proto/tapline/v1"
)

// TestUseThatNoTapExplains has somebody log on whom no tap explains: it is shown and on record within five seconds, until somebody taps.
func TestUseThatNoTapExplains(t *testing.T) {
	p := newPress(t)
	p.start()
	p.connected()
	began := time.Now()
	used := session.Used{Use: session.Use{ID: "c1", Account: "hmi", Reason: session.OSLogon}}
	if err := p.agent.loop.do(t.Context(), used); err != nil {
		t.Fatal(err)
	}
	p.sees("that somebody is here who cannot be named", func(r *taplinev1.WatchPresenceResponse) bool {
		return r.GetPresence().GetState() == taplinev1.PresenceState_PRESENCE_STATE_UNATTRIBUTED && r.GetPresence().GetSince() != nil
	})
	t.Logf("shown and on record after %s", time.Since(began).Round(time.Millisecond))
	p.tap("left", "ann")
	p.stop()
	wantStory(t, p.story(), "station.started", "unattributed.began", "opened p-ann by broker", "closed p-ann: agent-stopped", "station.stopped")
	first := p.first(record.UnattributedBegan)
	if first.Reason != session.OSLogon || first.Account != "hmi" {
		t.Errorf("the record says %s of %s", first.Reason, first.Account)
	}
	if late := first.Time.Wall.Sub(began); late > 5*time.Second {
		t.Logf("on record after %s: a busy machine", late)
	}
	if got := p.day(); got[coverage.Unattributed] <= 0 || got[coverage.Named] <= 0 {
		t.Errorf("the day has %v", got)
	}
	if !strings.Contains(p.panel.String(), "nobody has tapped") {
		t.Errorf("the panel says\n%s", p.panel)
	}
}
