package agent

import (
	"strings"
	"testing"

	"tapline/agent/journal"
	taplinev1 "tapline/proto/tapline/v1"
)

func TestWhenAJournalIsLow(t *testing.T) {
	const mb = 1 << 20
	for _, tt := range []struct {
		name string
		is   journal.Room
		want JournalConfig
		low  bool
	}{
		{"room for weeks", journal.Room{Free: 500 * mb, Days: 30}, JournalConfig{14, 200}, false},
		{"few days", journal.Room{Free: 500 * mb, Days: 13}, JournalConfig{14, 200}, true},
		{"many days, little room", journal.Room{Free: 100 * mb, Days: 300}, JournalConfig{14, 200}, true},
		{"nobody wants to know", journal.Room{Free: 1, Days: 0.1}, JournalConfig{}, false},
		{"nobody can say", journal.Room{Free: -1}, JournalConfig{14, 200}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r room
			if low, changed := r.look(tt.is, tt.want); low != tt.low || changed != tt.low {
				t.Errorf("low %t, changed %t", low, changed)
			}
		})
	}
	var r room
	r.look(journal.Room{Free: mb, Days: 13.9}, JournalConfig{WarnDays: 14})
	if low, _ := r.look(journal.Room{Free: mb, Days: 14.1}, JournalConfig{WarnDays: 14}); !low {
		t.Error("a journal at the edge is told of again and again")
	}
	if low, changed := r.look(journal.Room{Free: mb, Days: 16}, JournalConfig{WarnDays: 14}); low || !changed {
		t.Error("a journal with room again is still low")
	}
}

func TestALowJournalIsTold(t *testing.T) {
	p := newPress(t)
	p.cfg.Journal = JournalConfig{WarnDays: 1 << 30} // more than any disk has
	p.start()
	p.until("the panel's word", func() bool { return strings.Contains(p.panel.String(), "will be full in some days") })
	st, err := p.local.GetStatus(t.Context(), &taplinev1.GetStatusRequest{})
	if err != nil || !st.GetJournal().GetLow() || st.GetJournal().GetDaysLeft() <= 0 || st.GetJournal().GetDegraded() {
		t.Errorf("status %v, %v", st.GetJournal(), err)
	}
	if !strings.Contains(p.log.String(), "the journal's disk fills up") {
		t.Error("the log says nothing")
	}
}
