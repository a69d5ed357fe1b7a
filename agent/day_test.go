package agent

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"tapline/proto/record"
	"tapline/proto/record/coverage"
	"tapline/proto/record/evidence"
	taplinev1 "tapline/proto/tapline/v1"
)

// payloads are all records of a station's journal.
func (p *press) payloads() []record.Payload {
	p.t.Helper()
	chains, err := evidence.Open(filepath.Join(p.cfg.StateDir, "journal"))
	if err != nil || len(chains) != 1 {
		p.t.Fatalf("%d chains, %v", len(chains), err)
	}
	var list []record.Payload
	for raw, err := range chains[0].Records() {
		if err != nil {
			p.t.Fatal(err)
		}
		e, err := record.ReadEntry(raw)
		if err != nil {
			p.t.Fatal(err)
		}
		list = append(list, e.Payload)
	}
	return list
}

// day verifies the journal, holds that every day of it adds up, and gives the totals of all.
func (p *press) day() coverage.Totals {
	p.t.Helper()
	p.story()
	var f coverage.Fold
	for _, r := range p.payloads() {
		f.Add(r)
	}
	all := f.Intervals()
	totals := coverage.Totals{}
	for _, d := range coverage.Days(all, coverage.Midnight(all[0].From), all[len(all)-1].Until.AddDate(0, 0, 1), time.UTC) {
		if got, want := d.Totals.Sum(), d.Until.Sub(d.From); got != want {
			p.t.Errorf("%s adds up to %s, not to %s", d.From, got, want)
		}
	}
	for _, i := range all {
		totals[i.Class] += i.Length()
	}
	return totals
}

// first is the first record of a type.
func (p *press) first(kind record.Type) *record.Payload {
	p.t.Helper()
	for _, r := range p.payloads() {
		if r.Type == kind {
			return &r
		}
	}
	p.t.Errorf("no record %s", kind)
	return &record.Payload{Start: &record.Start{}, Journal: &record.Journal{}}
}

func TestTheDaySoFar(t *testing.T) {
	p := newPress(t)
	p.start()
	p.connected()
	p.tap("left", "ann")
	var today *taplinev1.CoverageStatus
	p.until("a second of Ann's", func() bool {
		st, err := p.local.GetStatus(t.Context(), &taplinev1.GetStatusRequest{})
		if err != nil {
			t.Fatal(err)
		}
		today = st.GetToday()
		return today.GetNamed().AsDuration() > time.Second/4
	})
	sum := today.GetNamed().AsDuration() + today.GetEmergency().AsDuration() + today.GetUnattributed().AsDuration() +
		today.GetIdle().AsDuration() + today.GetAgentDown().AsDuration()
	if want := today.GetUntil().AsTime().Sub(today.GetFrom().AsTime()); sum != want {
		t.Errorf("the day so far adds up to %s, not to %s", sum, want)
	}
	p.stop()
	if got := p.day(); got[coverage.Named] < time.Second/4 || got[coverage.Unattributed] != 0 {
		t.Errorf("the journal says %v", got)
	}
}

// TestAKillIsKnownToTheMark takes a copy of a running station's files for what a power cut leaves.
func TestAKillIsKnownToTheMark(t *testing.T) {
	p := newPress(t)
	p.start()
	p.connected()
	p.tap("left", "ann")
	p.until("the mark of life", func() bool {
		_, err := os.Stat(alivePath(p.cfg.StateDir))
		return err == nil
	})
	left := filepath.Join(t.TempDir(), "state")
	p.copy(p.cfg.StateDir, left)
	p.stop()
	p.cfg.StateDir = left
	p.start()
	p.stop()
	var starts []*record.Start
	for _, r := range p.payloads() {
		if r.Type == record.StationStarted {
			starts = append(starts, r.Start)
		}
	}
	if len(starts) != 2 || starts[0].Alive != nil || starts[1].Alive == nil || starts[1].Alive.Boot == "" {
		t.Errorf("starts %+v", starts)
	}
	if got := p.day(); got[coverage.Down] <= 0 {
		t.Errorf("the time between kill and start is no agent down: %v", got)
	}
}
