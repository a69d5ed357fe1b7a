package broker

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tapline/broker/policy"
	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

func TestASessionEndsWithinSecondsOfTheRuleThatLetItIn(t *testing.T) {
	p := newPlant(t)
	p.staff()
	s := p.enrol(press)
	ended := s.listen()
	req := tap(anna())
	s.open(req)
	_, err := p.admin.PutPolicy(t.Context(), &taplinev1.PutPolicyRequest{
		Text: policy.Default() + `@id("no-operators") forbid (principal in Role::"operator", action, resource);`, Comment: "test",
	})
	p.must(err)
	s.endsWithin(5*time.Second, ended, req.GetSession())
}

// TestADraftIsTriedOnTheTapsThatWere goes the way of an administrator: zone, history, replay, rollback, explanation.
func TestADraftIsTriedOnTheTapsThatWere(t *testing.T) {
	p := newPlant(t)
	p.staff()
	ctx := t.Context()
	_, err := p.admin.PutZone(ctx, &taplinev1.PutZoneRequest{Zone: &taplinev1.Zone{Id: "hot", Idle: durationpb.New(time.Minute)}})
	p.must(err)
	_, err = p.admin.PutStation(ctx, &taplinev1.PutStationRequest{Station: &taplinev1.Station{Id: press, Zone: "hot", Mode: taplinev1.Mode_MODE_ATTRIBUTE}})
	p.must(err)
	s := p.enrol(press)
	for range 5 {
		if r := s.open(tap(anna())); r.GetTerms().GetIdle().AsDuration() != time.Minute {
			t.Fatalf("the zone's terms do not count: %v", r)
		}
	}
	const draft = `@id("nobody-at-the-press") @refusal("approval-needed") forbid (principal, action == Action::"openSession", resource in Zone::"hot");`
	got := p.replay(policy.Default()+draft, 2)
	if len(got) != 5 {
		t.Fatalf("%d differences, want 5", len(got))
	}
	if d := got[0]; d.GetPerson() != "p-1" || d.GetStation() != press || !d.GetNow().GetAllowed() || d.GetDraft().GetRefusal() != taplinev1.RefusalCause_REFUSAL_CAUSE_APPROVAL_NEEDED ||
		strings.Join(d.GetDraft().GetRules(), " ") != "nobody-at-the-press" {
		t.Errorf("got %v", d)
	}
	for _, same := range []string{policy.Default(), policy.Default() + "// other words\n"} {
		if got := p.replay(same, 3); len(got) != 0 {
			t.Errorf("the set in force against itself: %v", got)
		}
	}
	p.rollsBack(draft)
	r, err := p.admin.ExplainTap(ctx, &taplinev1.ExplainTapRequest{Person: "p-1", Station: press})
	if err != nil || !r.GetDecision().GetAllowed() || r.GetTerms().GetIdle().AsDuration() != time.Minute || len(r.GetNotes()) < 3 {
		t.Errorf("explained %v, %v", r, err)
	}
	if _, err := p.admin.DeleteZone(ctx, &taplinev1.DeleteZoneRequest{Id: "hot"}); wire.KindOf(err) != wire.Precondition {
		t.Errorf("a zone that is in use: %v", err)
	}
}

// replay puts a draft through the recorded taps.
func (p *plant) replay(text string, size uint32) []*taplinev1.ReplayedTap {
	p.t.Helper()
	var all []*taplinev1.ReplayedTap
	req := &taplinev1.ReplayTapsRequest{Text: text, Since: timestamppb.New(time.Now().Add(-time.Hour)), PageSize: size}
	for {
		r, err := p.admin.ReplayTaps(p.t.Context(), req)
		p.must(err)
		if r.GetReplayed() > size {
			p.t.Fatalf("%d on a page of %d", r.GetReplayed(), size)
		}
		all = append(all, r.GetDifferences()...)
		if req.PageToken = r.GetNextPageToken(); req.GetPageToken() == "" {
			return all
		}
	}
}

// rollsBack puts a draft in force, and the set before it again.
func (p *plant) rollsBack(draft string) {
	p.t.Helper()
	ctx := p.t.Context()
	before, err := p.admin.GetPolicy(ctx, &taplinev1.GetPolicyRequest{})
	p.must(err)
	_, err = p.admin.PutPolicy(ctx, &taplinev1.PutPolicyRequest{Text: policy.Default() + draft, Comment: "try"})
	p.must(err)
	_, err = p.admin.PutPolicy(ctx, &taplinev1.PutPolicyRequest{Text: before.GetPolicy().GetText(), Comment: "rollback"})
	p.must(err)
	h, err := p.admin.ListPolicies(ctx, &taplinev1.ListPoliciesRequest{PageSize: 2})
	p.must(err)
	var comments []string
	for _, one := range h.GetPolicies() {
		comments = append(comments, one.GetComment())
		if one.GetText() != "" {
			p.t.Error("the history is with texts")
		}
	}
	if got := strings.Join(comments, ", "); got != "rollback, try" || h.GetNextPageToken() == "" {
		p.t.Errorf("history: %s, more: %q", got, h.GetNextPageToken())
	}
}

// FuzzPolicyRequests holds that no request about policies and zones does more than answer or name its fault.
func FuzzPolicyRequests(f *testing.F) {
	p := newPlant(f)
	p.staff()
	f.Add("hot", int32(2), int64(60), `@id("a") permit (principal, action, resource);`, "1", uint32(5), "p-1")
	f.Add("", int32(-1), int64(-1<<62), "forbid", "x", uint32(1<<31), strings.Repeat("x", 1000))
	f.Fuzz(func(t *testing.T, id string, number int32, span int64, text, token string, size uint32, person string) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		for _, s := range []*string{&id, &text, &token, &person} {
			*s = strings.ToValidUTF8(*s, "?") // anything else is refused before it is sent
		}
		d := durationpb.New(time.Duration(span))
		_, e1 := p.admin.PutZone(ctx, &taplinev1.PutZoneRequest{Zone: &taplinev1.Zone{
			Id: id, Mode: taplinev1.Mode(number), RequiresAssurance: taplinev1.Assurance(number), Idle: d, Longest: &durationpb.Duration{Seconds: span, Nanos: number},
			Offline: &taplinev1.OfflineTiers{Everybody: d, Essential: d}, Pin: &taplinev1.PinRules{AfterIdle: d, WeakBelow: taplinev1.Assurance(number)},
		}})
		_, e2 := p.admin.ReplayTaps(ctx, &taplinev1.ReplayTapsRequest{Text: text, Since: &timestamppb.Timestamp{Seconds: span}, PageToken: token, PageSize: size})
		_, e3 := p.admin.ListPolicies(ctx, &taplinev1.ListPoliciesRequest{PageSize: size, PageToken: token})
		_, e4 := p.admin.ExplainTap(ctx, &taplinev1.ExplainTapRequest{Person: person, Station: press, Assurance: taplinev1.Assurance(number), At: &timestamppb.Timestamp{Seconds: span}})
		_, e5 := p.admin.PutPolicy(ctx, &taplinev1.PutPolicyRequest{Text: text, DryRun: true})
		for i, err := range []error{e1, e2, e3, e4, e5} {
			switch kind := wire.KindOf(err); kind {
			case wire.None, wire.Invalid, wire.NotFound:
			default:
				t.Errorf("request %s: %s", fmt.Sprint(i+1), err)
			}
		}
	})
}
