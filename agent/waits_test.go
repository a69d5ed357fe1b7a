package agent

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"tapline/proto/grant"
	"tapline/proto/pin"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// askFor makes the broker refuse a person with a word until the request has what is missing.
func (p *press) askFor(person string, word taplinev1.RefusalCause, given func(*taplinev1.OpenSessionRequest) bool) {
	before := p.broker.Open
	p.broker.Open = func(r *taplinev1.OpenSessionRequest) *taplinev1.OpenSessionResponse {
		resp := before(r)
		if !resp.GetDecision().GetAllowed() || !bytes.Equal(r.GetBadge().GetNumber(), uid(person).Canonical()) || given(r) {
			if r.GetPin() != "" {
				resp.Factors = append(resp.Factors, taplinev1.Factor_FACTOR_BADGE, taplinev1.Factor_FACTOR_PIN)
			}
			return resp
		}
		why := word
		if r.GetPin() != "" {
			why = taplinev1.RefusalCause_REFUSAL_CAUSE_PIN_WRONG
		}
		return &taplinev1.OpenSessionResponse{
			Decision: &taplinev1.Decision{Refusal: why, PolicyVersion: "p1", Rules: []string{"asks"}, RetryAfter: durationpb.New(0)},
			Person:   resp.GetPerson(), BrokerTime: resp.GetBrokerTime(),
		}
	}
}

// asked taps a badge and waits until the station asks for something.
func (p *press) asked(person string, kind taplinev1.NoticeKind) *taplinev1.Notice {
	p.t.Helper()
	p.reader.Tap("left", uid(person))
	n := p.sees("a question", func(r *taplinev1.WatchPresenceResponse) bool { return r.GetNotice().GetKind() == kind }).GetNotice()
	p.reader.Leave("left")
	return n
}

func (p *press) enter(tap, pin string) *taplinev1.Decision {
	p.t.Helper()
	r, err := p.local.EnterPin(p.t.Context(), &taplinev1.EnterPinRequest{Session: tap, Pin: pin})
	if err != nil {
		p.t.Fatal(err)
	}
	return r.GetDecision()
}

func TestAPINIsTypedAtTheStationAndCheckedByTheBroker(t *testing.T) {
	p := newPress(t)
	p.askFor("ben", taplinev1.RefusalCause_REFUSAL_CAUSE_PIN_NEEDED, func(r *taplinev1.OpenSessionRequest) bool { return r.GetPin() == "246813" })
	p.start()
	p.connected()
	p.tap("left", "ann")
	n := p.asked("ben", taplinev1.NoticeKind_NOTICE_KIND_PIN_NEEDED)
	if n.GetSession() == "" || time.Until(n.GetAnswerBy().AsTime()) > time.Minute || n.GetPerson().GetId() != "p-ben" || n.GetRefusal() != 0 {
		t.Errorf("the station asks %v", n)
	}
	late := <-p.agent.Watch(t.Context())
	if late.GetNotice().GetSession() != n.GetSession() || late.GetPresence().GetPerson().GetId() != "p-ann" {
		t.Errorf("who comes later hears %v", late)
	}
	if d := p.enter(n.GetSession(), "975319"); d.GetAllowed() || d.GetRefusal() != taplinev1.RefusalCause_REFUSAL_CAUSE_PIN_WRONG {
		t.Errorf("a wrong PIN: %v", d)
	}
	if d := p.enter(n.GetSession(), "246813"); !d.GetAllowed() || d.GetRefusal() != 0 || d.GetPolicyVersion() != "p1" {
		t.Errorf("the right PIN: %v", d)
	}
	if _, err := p.local.EnterPin(t.Context(), &taplinev1.EnterPinRequest{Session: n.GetSession(), Pin: "246813"}); wire.KindOf(err) != wire.NotFound {
		t.Errorf("nothing waits any more: %v", err)
	}
	if late := <-p.agent.Watch(t.Context()); late.GetNotice() != nil {
		t.Errorf("who comes after that hears %v", late)
	}
	p.stop()
	wantStory(t, p.story(), "station.started", "opened p-ann by broker", "refused: pin-wrong by broker", "handed over p-ann to p-ben by broker",
		"closed p-ben: agent-stopped", "station.stopped")
	for name, b := range p.everything() {
		for _, pin := range []string{"246813", "975319"} {
			if bytes.Contains(b, []byte(pin)) {
				t.Errorf("%s holds a PIN", name)
			}
		}
	}
	if !strings.Contains(p.panel.String(), "BEN, a PIN is needed within") {
		t.Errorf("the panel never asks:\n%s", p.panel)
	}
}

func TestATapThatWaitsIsCalledOff(t *testing.T) {
	p := newPress(t)
	p.askFor("ben", taplinev1.RefusalCause_REFUSAL_CAUSE_PIN_NEEDED, func(r *taplinev1.OpenSessionRequest) bool { return r.GetPin() == "246813" })
	p.start()
	p.connected()
	n := p.asked("ben", taplinev1.NoticeKind_NOTICE_KIND_PIN_NEEDED)
	if _, err := p.local.EndSession(t.Context(), &taplinev1.EndSessionRequest{Session: n.GetSession()}); err != nil {
		t.Fatal(err)
	}
	said := p.sees("that it is called off", func(r *taplinev1.WatchPresenceResponse) bool {
		return r.GetNotice().GetKind() == taplinev1.NoticeKind_NOTICE_KIND_REFUSED
	})
	if said.GetNotice().GetRefusal() != taplinev1.RefusalCause_REFUSAL_CAUSE_CALLED_OFF {
		t.Errorf("it says %v", said)
	}
	p.stop()
	wantStory(t, p.story(), "station.started", "refused: called-off by broker", "station.stopped")
}

func TestASupervisorApprovesAtTheStation(t *testing.T) {
	p := newPress(t)
	p.askFor("ben", taplinev1.RefusalCause_REFUSAL_CAUSE_APPROVAL_NEEDED, func(r *taplinev1.OpenSessionRequest) bool {
		return bytes.Equal(r.GetApprover().GetNumber(), uid("ann").Canonical())
	})
	before := p.broker.Open
	p.broker.Open = func(r *taplinev1.OpenSessionRequest) *taplinev1.OpenSessionResponse {
		resp := before(r)
		if r.GetApprover() != nil {
			resp.Approver = &taplinev1.Person{Id: "p-ann", DisplayName: "ANN"}
			resp.Factors = []taplinev1.Factor{taplinev1.Factor_FACTOR_BADGE, taplinev1.Factor_FACTOR_SECOND_PERSON}
		}
		return resp
	}
	p.start()
	p.connected()
	if n := p.asked("ben", taplinev1.NoticeKind_NOTICE_KIND_SECOND_PERSON_NEEDED); n.GetRefusal() != taplinev1.RefusalCause_REFUSAL_CAUSE_APPROVAL_NEEDED {
		t.Errorf("the station asks %v", n)
	}
	p.reader.Tap("right", uid("ann"))
	p.sees("ben", func(r *taplinev1.WatchPresenceResponse) bool {
		return r.GetPresence().GetPerson().GetId() == "p-ben" && r.GetNotice() == nil
	})
	p.stop()
	wantStory(t, p.story(), "station.started", "opened p-ben by broker with p-ann as approver", "closed p-ben: agent-stopped", "station.stopped")
}

// needsPIN makes the bundle ask Ben for a PIN, the first time in a shift.
func needsPIN(t *testing.T, typed string) func(*grant.Bundle) {
	t.Helper()
	verifier, err := pin.NewChecker(1).Make(t.Context(), typed)
	if err != nil {
		t.Fatal(err)
	}
	return func(b *grant.Bundle) {
		b.Answers = append(b.Answers, grant.Answer{Refusal: "pin-needed", Rules: []string{"asks"}})
		cells := make([]int, grant.Cells)
		for i := range cells {
			if c := grant.CircumstancesOf(i); !c.PIN && !c.Fresh {
				cells[i] = 1
			}
		}
		b.Outlooks = append(b.Outlooks, grant.Outlook{{Cells: cells}})
		for i := range b.Grants {
			if b.Grants[i].Person.ID == "p-ben" {
				b.Grants[i].PIN, b.Grants[i].Phases = verifier, []grant.Phase{{Outlook: 1}}
			}
		}
	}
}

// alone runs the station without its broker.
func (p *press) alone() {
	p.t.Helper()
	p.start()
	p.connected()
	p.off()
	p.until("the line is down", func() bool { return !p.agent.line.Connected() })
}

func TestAPINIsCheckedAtTheStationWhileTheBrokerIsAway(t *testing.T) {
	p := newPress(t)
	p.broker.Bundle = p.bundle(needsPIN(t, "246813"))
	p.alone()
	n := p.asked("ben", taplinev1.NoticeKind_NOTICE_KIND_PIN_NEEDED)
	if d := p.enter(n.GetSession(), "975319"); d.GetRefusal() != taplinev1.RefusalCause_REFUSAL_CAUSE_PIN_WRONG {
		t.Errorf("a wrong PIN: %v", d)
	}
	if d := p.enter(n.GetSession(), "246813"); !d.GetAllowed() {
		t.Errorf("the right PIN: %v", d)
	}
	p.sees("ben", func(r *taplinev1.WatchPresenceResponse) bool { return r.GetPresence().GetPerson().GetId() == "p-ben" })
	p.tap("left", "ann")
	p.tap("left", "ben") // once in a shift is enough
	p.stop()
	p.start() // and the station remembers it
	p.tap("left", "ben")
	p.stop()
	wantStory(t, p.story(), "station.started", "refused: pin-wrong by bundle", "opened p-ben by bundle", "handed over p-ben to p-ann by bundle",
		"handed over p-ann to p-ben by bundle", "closed p-ben: agent-stopped", "station.stopped", "station.started", "opened p-ben by bundle",
		"closed p-ben: agent-stopped", "station.stopped")
	for name, b := range p.everything() {
		for _, typed := range []string{"246813", "975319"} {
			if bytes.Contains(b, []byte(typed)) {
				t.Errorf("%s holds a PIN", name)
			}
		}
	}
}

func TestWrongPINsLockAlsoOverARestart(t *testing.T) {
	p := newPress(t)
	p.broker.Bundle = p.bundle(needsPIN(t, "246813"))
	p.alone()
	for range 3 {
		p.enter(p.asked("ben", taplinev1.NoticeKind_NOTICE_KIND_PIN_NEEDED).GetSession(), "975319")
	}
	p.stop()
	p.start()
	n := p.asked("ben", taplinev1.NoticeKind_NOTICE_KIND_PIN_NEEDED)
	p.enter(n.GetSession(), "975319")
	p.enter(n.GetSession(), "975319")
	d := p.enter(n.GetSession(), "246813") // the right one, too late
	if d.GetRefusal() != taplinev1.RefusalCause_REFUSAL_CAUSE_PIN_LOCKED || d.GetRetryAfter().AsDuration() < 30*time.Second {
		t.Errorf("the sixth try: %v", d)
	}
	p.tap("left", "ann") // who is not locked
	p.stop()
	story := p.story()
	if got := story[len(story)-4]; got != "refused: pin-locked by station" {
		t.Errorf("story %q", story)
	}
}
