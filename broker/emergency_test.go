package broker

import (
	"testing"
	"time"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/proto/record"
)

// tells writes one record and sends it.
func (s *hmi) tells(p record.Payload) {
	s.t.Helper()
	_, err := s.send(s.chain.Head().Seq+1, [][]byte{s.say(p.Type, func(into *record.Payload) {
		p.Mode, p.Time = into.Mode, into.Time
		*into = p
	})})
	s.must(err)
}

func TestAnEmergencyThatNobodyAnswersForIsAnAlarm(t *testing.T) {
	p := newPlant(t)
	p.staff()
	p.hire("p-2", "Ben C.", ben())
	s := p.enrol(press)
	const id = "0192a000-0000-7000-8000-0000000000e1"
	s.tells(record.Payload{Type: record.EmergencyOpened, Session: id, Reason: "jam", Decision: &record.Decision{By: "emergency"}})
	list := func(all bool) []*taplinev1.EmergencyEntry {
		t.Helper()
		r, err := p.audit.ListEmergencies(t.Context(), &taplinev1.ListEmergenciesRequest{All: all})
		p.must(err)
		return r.GetEmergencies()
	}
	look := func(want bool) {
		t.Helper()
		p.must(p.run.tellUnclaimed(t.Context()))
		if got := p.alarms()["emergency-unclaimed"]; got != want {
			t.Errorf("an alarm: %v, want %v", got, want)
		}
	}
	look(false)
	if got := list(false); len(got) != 1 || got[0].GetMissing() != 2 || got[0].GetClosedAt() != nil || got[0].GetReason() != "jam" || got[0].GetStation() != press {
		t.Errorf("in force: %v", got)
	}
	s.tells(record.Payload{Type: record.SessionClosed, Session: id, Reason: "ended-here"})
	p.clock.advance(p.cfg.claimWithin() + time.Minute)
	look(true)
	look(true)
	claim := record.Payload{Type: record.EmergencyClaimed, Person: "p-1", Claim: &record.Claim{Emergency: id, Note: "jam at the infeed"}}
	s.tells(claim)
	s.tells(claim) // the same person answers once
	look(true)
	claim.Person = "p-2"
	s.tells(claim)
	look(false)
	if got := list(false); len(got) != 0 {
		t.Errorf("after two claims: %v", got)
	}
	got := list(true)
	if len(got) != 1 || got[0].GetMissing() != 0 || got[0].GetEndedBy() != "ended-here" || len(got[0].GetClaims()) != 2 || got[0].GetClaims()[1].GetDisplayName() != "Ben C." {
		t.Errorf("all: %v", got)
	}
}

func TestAnAlarmAboutAnEmergencyThatWasClosedIsNotRaisedAgain(t *testing.T) {
	p := newPlant(t)
	s := p.enrol(press)
	s.tells(record.Payload{Type: record.EmergencyOpened, Session: "0192a000-0000-7000-8000-0000000000e1", Reason: "jam"})
	p.clock.advance(p.cfg.claimWithin() + time.Minute)
	p.must(p.run.tellUnclaimed(t.Context()))
	open, err := p.admin.ListAlarms(t.Context(), &taplinev1.ListAlarmsRequest{OpenOnly: true})
	p.must(err)
	for _, a := range open.GetAlarms() {
		_, err := p.admin.CloseAlarm(t.Context(), &taplinev1.CloseAlarmRequest{Id: a.GetId(), Note: "we know"})
		p.must(err)
	}
	p.must(p.run.tellUnclaimed(t.Context()))
	if p.alarms()["emergency-unclaimed"] {
		t.Error("raised again")
	}
}
