//go:build linux

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/scripts/rig"
)

// twoPeople asks for a supervisor's approval of Ben's sessions.
const twoPeople = `
@id("two-people") @refusal("approval-needed")
forbid (principal == Person::"p-1002", action == Action::"openSession", resource)
unless { context has approver && context.approver in Role::"supervisor" };
`

// guarded is a plant whose station asks everybody for a PIN at the first use in a shift, and has Ben approved.
func guarded(t *testing.T) (*rig.Plant, *rig.Station, []rig.Person) {
	t.Helper()
	p, crew := plant(t, "Reader A", "Reader B"), rig.People(3)
	if err := p.Hire(t.Context(), crew...); err != nil {
		t.Fatal(err)
	}
	ctl := func(args ...string) string {
		t.Helper()
		out, err := p.Ctl(t.Context(), args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	ctl("account", "put", "press-hmi", "--station", "plant/press/")
	ctl("person", "put", crew[2].ID, "--name", crew[2].Name, "--role", "operator,supervisor")
	ctl("zone", "put", "hot", "--pin-first-of-shift")
	file := filepath.Join(t.TempDir(), "plant.cedar")
	if err := os.WriteFile(file, []byte(ctl("policy", "show")+twoPeople), 0o600); err != nil {
		t.Fatal(err)
	}
	ctl("policy", "put", file, "--comment", "Ben is new")
	for i, one := range crew {
		if _, err := p.RunWith(t.Context(), []byte(pins[i]+"\n"), "tapctl", "--identity", p.Identity(), "person", "pin", one.ID); err != nil {
			t.Fatal(err)
		}
	}
	s, err := p.Enrol(t.Context(), press, "press-hmi", "")
	if err != nil {
		t.Fatal(err)
	}
	ctl("station", "put", press, "--account", "press-hmi", "--zone", "hot")
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.AwaitBundle(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p, s, crew
}

// pins are those of the crew.
var pins = []string{"739184", "281746", "605933"}

// PINs and approvals with the real broker and the real programs, then without it: Anna types her PIN once; Ben is approved by Carla, who is a supervisor, and types
// his; while the broker is away Anna is not asked again, and Carla, who never was, is checked by the station; and she approves Ben
// again.
func TestAPINAndASupervisorWithTheBrokerAndWithoutIt(t *testing.T) {
	p, s, crew := guarded(t)
	ctx := within(t, 2*time.Minute)
	tap := func(reader, who int, wanted func(rig.Seen) bool) {
		t.Helper()
		if _, err := s.Tap(ctx, reader, crew[who].UID, wanted); err != nil {
			t.Fatal(err)
		}
	}
	pin := func(who int, typed string) (string, error) {
		t.Helper()
		mark := s.Mark()
		out, err := p.RunWith(ctx, []byte(typed+"\n"), "tapagent", "pin", "--config", s.Config())
		if err == nil {
			if _, err := s.Await(ctx, mark, rig.Named(crew[who].ID)); err != nil {
				t.Fatal(err)
			}
		}
		return out, err
	}
	types := func(who int) {
		t.Helper()
		if out, err := pin(who, pins[who]); err != nil || !strings.Contains(out, crew[who].Name+" is here") {
			t.Fatalf("%s types a PIN: %q, %v", crew[who].Name, out, err)
		}
	}
	asksPIN, asksSecond := rig.Noticed(taplinev1.NoticeKind_NOTICE_KIND_PIN_NEEDED), rig.Noticed(taplinev1.NoticeKind_NOTICE_KIND_SECOND_PERSON_NEEDED)
	tap(0, 0, asksPIN)
	types(0)
	tap(0, 1, asksSecond)
	tap(1, 2, asksPIN) // Carla approves, and Ben's PIN is missing yet
	types(1)
	if err := p.Broker.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.AwaitBroker(ctx, false); err != nil {
		t.Fatal(err)
	}
	tap(0, 0, rig.Named(crew[0].ID))
	tap(0, 2, asksPIN)
	if _, err := pin(2, pins[0]); err == nil || !strings.Contains(err.Error(), "the PIN is wrong") {
		t.Fatalf("somebody else's PIN: %v", err)
	}
	types(2)
	tap(0, 1, asksSecond)
	tap(1, 2, rig.Named(crew[1].ID))
	if err := p.StartBroker(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.AwaitDrained(ctx); err != nil {
		t.Fatal(err)
	}
	verify(t, p, export(t, p))
	checkWaits(t, s, crew)
}

// checkWaits looks at what the journal says of it.
func checkWaits(t *testing.T, s *rig.Station, crew []rig.Person) {
	t.Helper()
	var story []string
	for _, r := range records(t, s.Journal()) {
		if r.payload.Type != record.SessionOpened && r.payload.Type != record.SessionHandedOver && r.payload.Type != record.TapRefused {
			continue
		}
		line := strings.Join([]string{string(r.payload.Type), string(r.payload.Person), string(r.payload.Reason), r.payload.Decision.By, strings.Join(r.payload.Badge.Factors, "+")}, " ")
		if r.payload.Second != nil {
			line += " " + string(r.payload.Second.Part) + " " + string(r.payload.Second.Person)
		}
		story = append(story, line)
	}
	want := []string{
		"session.opened " + crew[0].ID + "  broker badge+pin",
		"session.handed-over " + crew[1].ID + "  broker badge+pin+second-person approver " + crew[2].ID,
		"session.handed-over " + crew[0].ID + "  bundle badge",
		"tap.refused " + crew[2].ID + " pin-wrong bundle badge",
		"session.handed-over " + crew[2].ID + "  bundle badge+pin",
		"session.handed-over " + crew[1].ID + "  bundle badge+second-person approver " + crew[2].ID,
	}
	if strings.Join(story, "\n") != strings.Join(want, "\n") {
		t.Errorf("the journal says\n%s\nwant\n%s", strings.Join(story, "\n"), strings.Join(want, "\n"))
	}
}

// oneStation lets a person work at one station at a time; follows lets the session go with them.
const (
	oneStation = `
@id("one-station") @refusal("elsewhere")
forbid (principal, action == Action::"openSession", resource) when { context.elsewhere };
`
	follows = `
@id("follow-the-person")
permit (principal, action == Action::"moveSession", resource);
`
)

// Anna works at one station, taps at another, and is refused there; once the rules let her move, she is there at once, and the first station says why her session
// has ended and records it.
func TestWhoSignsInElsewhereIsMovedAndToldSo(t *testing.T) {
	p, crew := plant(t, "Reader A", "Reader B"), rig.People(1)
	ctx := within(t, time.Minute)
	if err := p.Hire(ctx, crew...); err != nil {
		t.Fatal(err)
	}
	rules := func(more string) {
		t.Helper()
		text, err := p.Ctl(ctx, "policy", "show")
		file := filepath.Join(t.TempDir(), "plant.cedar")
		if err == nil {
			err = os.WriteFile(file, []byte(text+more), 0o600)
		}
		if err == nil {
			_, err = p.Ctl(ctx, "policy", "put", file, "--comment", "one station")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	rules(oneStation)
	begin := func(id, reader string) *rig.Station {
		t.Helper()
		s, err := p.Enrol(ctx, id, "", "session:\n  bounce: 100ms\n") // she taps again at once
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(s.Config())
		if err == nil {
			err = os.WriteFile(s.Config(), []byte(strings.Replace(string(text), "  pcsc:\n", "  pcsc:\n    match: [\"*"+reader+"*\"]\n", 1)), 0o600)
		}
		if err == nil {
			err = s.Start(ctx)
		}
		if err == nil {
			err = s.AwaitBroker(ctx, true)
		}
		if err == nil {
			_, err = s.Await(ctx, 0, rig.Idle) // somebody looks at its screen
		}
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first, second := begin(press, "Reader A"), begin("plant/press/line-4/hmi-2", "Reader B")
	if _, err := first.Tap(ctx, 0, crew[0].UID, rig.Named(crew[0].ID)); err != nil {
		t.Fatal(err)
	}
	refused, err := second.Tap(ctx, 1, crew[0].UID, rig.Noticed(taplinev1.NoticeKind_NOTICE_KIND_REFUSED))
	if err != nil || refused.Notice.GetRefusal() != taplinev1.RefusalCause_REFUSAL_CAUSE_ELSEWHERE {
		t.Fatalf("at the second station: %v, %v", refused.Notice, err)
	}
	rules(follows)
	mark := first.Mark()
	if _, err := second.Tap(ctx, 1, crew[0].UID, rig.Named(crew[0].ID)); err != nil {
		t.Fatal(err)
	}
	ended, err := first.Await(ctx, mark, rig.Noticed(taplinev1.NoticeKind_NOTICE_KIND_ENDED))
	if err != nil || ended.Notice.GetCause() != taplinev1.EndCause_END_CAUSE_ELSEWHERE || ended.Notice.GetPerson().GetId() != crew[0].ID || !rig.Idle(ended) {
		t.Fatalf("at the first station: %v, %v", ended, err)
	}
	journal := records(t, first.Journal())
	var last record.Payload
	for _, r := range journal {
		if r.payload.Type == record.SessionClosed {
			last = r.payload
		}
	}
	if last.Reason != "elsewhere" || string(last.Person) != crew[0].ID {
		t.Errorf("the first station's journal says %+v", last)
	}
}
