package broker

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
)

// say writes one record of a type.
func (s *hmi) say(kind record.Type, fill func(*record.Payload)) []byte {
	s.t.Helper()
	p := s.beat()
	p.Type, p.Beat = kind, nil
	p.Time.Error = 10
	fill(&p)
	e, err := s.chain.Next(p, s.keys.record)
	s.must(err)
	s.must(s.chain.Commit(e))
	return e.Bytes()
}

func (s *hmi) started() []byte {
	return s.say(record.StationStarted, func(p *record.Payload) { p.Start = &record.Start{Build: "test"} })
}

func TestNobodyIsSurelyThereOnceTheAgentIsDead(t *testing.T) {
	p := newPlant(t)
	p.staff()
	s := p.enrol(press)
	id, err := uuid.NewV7()
	p.must(err)
	session := record.SessionID(id.String())
	who := func(at time.Time) taplinev1.Confidence {
		r, err := p.audit.WhoWasAt(t.Context(), &taplinev1.WhoWasAtRequest{Station: press, At: timestamppb.New(at)})
		p.must(err)
		return r.GetConfidence()
	}
	batch := [][]byte{s.started()}
	p.clock.advance(time.Minute)
	opened := p.clock.now()
	batch = append(batch, s.say(record.SessionOpened, func(p *record.Payload) {
		p.Session, p.Person, p.Account, p.Reader = session, "p-1", account, "Reader A"
		p.Badge = &record.Badge{Ref: "00112233445566778899aabbccddeeff", Technology: "iso14443a", Assurance: 1, Factors: []string{"badge"}}
		p.Decision = &record.Decision{By: "broker", Policy: "test"}
	}))
	p.clock.advance(5 * time.Minute)
	batch = append(batch, s.write(1)...) // a heartbeat, the last that was heard
	_, err = s.send(1, batch)
	p.must(err)
	if got := who(opened.Add(2 * time.Minute)); got != taplinev1.Confidence_CONFIDENCE_SURE {
		t.Errorf("while records came: %s", got)
	}
	p.clock.advance(time.Minute)
	if got := who(p.clock.now()); got != taplinev1.Confidence_CONFIDENCE_UNKNOWN {
		t.Errorf("a minute after the line broke: %s", got)
	}
	p.clock.advance(time.Hour)
	_, err = s.send(4, [][]byte{s.started(), s.say(record.SessionClosed, func(p *record.Payload) {
		p.Session, p.Person, p.Account, p.Reason = session, "p-1", account, "agent-died"
	})})
	p.must(err)
	if got := who(opened.Add(2 * time.Minute)); got != taplinev1.Confidence_CONFIDENCE_SURE {
		t.Errorf("before the agent died: %s", got)
	}
	if got := who(opened.Add(30 * time.Minute)); got != taplinev1.Confidence_CONFIDENCE_UNKNOWN {
		t.Errorf("while the agent was dead: %s", got)
	}
}
