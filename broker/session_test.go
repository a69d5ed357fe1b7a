package broker

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// open taps and wants an answer.
func (s *hmi) open(req *taplinev1.OpenSessionRequest) *taplinev1.OpenSessionResponse {
	s.t.Helper()
	r, err := s.client.OpenSession(s.t.Context(), req)
	s.must(err)
	return r
}

func TestAReplayedTapGetsTheSameAnswerAndNoSecondLease(t *testing.T) {
	p := newPlant(t)
	p.staff()
	s := p.enrol(press)
	req := tap(anna())
	first, again := s.open(req), s.open(req)
	if !first.GetDecision().GetAllowed() || first.GetPerson().GetId() != "p-1" {
		t.Fatalf("got %v", first)
	}
	first.BrokerTime, again.BrokerTime = nil, nil
	if d := cmp.Diff(first, again, protocmp.Transform()); d != "" {
		t.Error(d)
	}
	leases, err := p.admin.ListLeases(t.Context(), &taplinev1.ListLeasesRequest{})
	p.must(err)
	if n := len(leases.GetLeases()); n != 1 {
		t.Errorf("%d leases, want 1", n)
	}
}

func TestASessionIDIsUsedForOneTapOnly(t *testing.T) {
	p := newPlant(t)
	p.staff()
	p.hire("p-2", "Ben C.", ben())
	s, other := p.enrol(press), p.enrol(packing)
	req := tap(anna())
	s.open(req)
	changed := proto.CloneOf(req)
	changed.Badge = proofOf(ben())
	_, err := s.client.OpenSession(t.Context(), changed)
	refused(t, err, wire.Exists, "used once")
	_, err = other.client.OpenSession(t.Context(), req)
	refused(t, err, wire.Exists, "used once")
}

func TestAnUnknownBadgeIsEnrolledByItsCode(t *testing.T) {
	p := newPlant(t)
	p.staff()
	s := p.enrol(press)
	r := s.open(tap(ben()))
	code := r.GetDecision().GetHelpCode()
	if r.GetDecision().GetAllowed() || r.GetDecision().GetRefusal() != taplinev1.RefusalCause_REFUSAL_CAUSE_UNKNOWN_BADGE || len(code) != 6 {
		t.Fatalf("got %v", r)
	}
	told, err := p.admin.ExplainCode(t.Context(), &taplinev1.ExplainCodeRequest{Code: code})
	p.must(err)
	if told.GetTap().GetStation() != press {
		t.Errorf("got %v", told)
	}
	_, err = p.admin.PutPerson(t.Context(), &taplinev1.PutPersonRequest{Person: &taplinev1.PersonEntry{Id: "p-2", DisplayName: "Ben C.", Roles: []string{"operator"}, Source: "local"}})
	p.must(err)
	_, err = p.admin.AssignBadge(t.Context(), &taplinev1.AssignBadgeRequest{Person: "p-2", PendingTap: code})
	p.must(err)
	if r := s.open(tap(ben())); !r.GetDecision().GetAllowed() || r.GetPerson().GetId() != "p-2" {
		t.Errorf("got %v", r)
	}
}

func TestAnExclusiveAccountIsHeldByOneStation(t *testing.T) {
	p := newPlant(t)
	p.staff()
	p.hire("p-2", "Ben C.", ben())
	_, err := p.admin.PutAccount(t.Context(), &taplinev1.PutAccountRequest{Account: &taplinev1.Account{Id: account, Driver: "manual", Capacity: 1, Stations: []string{"plant/"}}})
	p.must(err)
	here, there := p.enrol(press), p.enrol(packing)
	mine := tap(anna())
	first := here.open(mine)
	if r := there.open(tap(ben())); r.GetDecision().GetRefusal() != taplinev1.RefusalCause_REFUSAL_CAUSE_LEASE_HELD {
		t.Errorf("another station got %v", r)
	}
	_, err = here.client.CloseSession(t.Context(), &taplinev1.CloseSessionRequest{Session: mine.GetSession(), Fence: first.GetLease().GetFence() + 7, Cause: taplinev1.EndCause_END_CAUSE_TAP_OUT})
	refused(t, err, wire.Stale, "fence")
	_, err = here.client.CloseSession(t.Context(), &taplinev1.CloseSessionRequest{Session: mine.GetSession(), Fence: first.GetLease().GetFence(), Cause: taplinev1.EndCause_END_CAUSE_TAP_OUT})
	p.must(err)
	next := there.open(tap(ben()))
	if !next.GetDecision().GetAllowed() || next.GetLease().GetFence() <= first.GetLease().GetFence() {
		t.Errorf("after the lease was given back: %v, want a greater fence than %d", next, first.GetLease().GetFence())
	}
}

func TestARevokedBadgeAndASuspendedPersonAreRefused(t *testing.T) {
	p := newPlant(t)
	p.staff()
	badge := p.hire("p-2", "Ben C.", ben())
	s := p.enrol(press)
	_, err := p.admin.RevokeBadge(t.Context(), &taplinev1.RevokeBadgeRequest{Id: badge.GetId(), Reason: "lost"})
	p.must(err)
	if r := s.open(tap(ben())); r.GetDecision().GetRefusal() != taplinev1.RefusalCause_REFUSAL_CAUSE_BADGE_REVOKED {
		t.Errorf("a lost badge got %v", r)
	}
	_, err = p.admin.PutPerson(t.Context(), &taplinev1.PutPersonRequest{Person: &taplinev1.PersonEntry{Id: "p-1", DisplayName: "Anna B.", Roles: []string{"operator"}, Suspended: true, Source: "local"}})
	p.must(err)
	if r := s.open(tap(anna())); r.GetDecision().GetRefusal() != taplinev1.RefusalCause_REFUSAL_CAUSE_PERSON_INACTIVE {
		t.Errorf("a suspended person got %v", r)
	}
}

func TestAPolicySetThatIsWrongIsNotPutInForce(t *testing.T) {
	p := newPlant(t)
	before, err := p.admin.GetPolicy(t.Context(), &taplinev1.GetPolicyRequest{})
	p.must(err)
	for _, text := range []string{"permit(principal, action, resource) when { principal.nosuch };", "permit(", ""} {
		r, err := p.admin.PutPolicy(t.Context(), &taplinev1.PutPolicyRequest{Text: text})
		if err == nil && len(r.GetPolicy().GetFaults()) == 0 {
			t.Errorf("%q was put in force", text)
		}
	}
	after, err := p.admin.GetPolicy(t.Context(), &taplinev1.GetPolicyRequest{})
	p.must(err)
	if before.GetPolicy().GetVersion() != after.GetPolicy().GetVersion() {
		t.Error("the set in force has changed")
	}
}

func TestFieldsThatAreWrongAreNamed(t *testing.T) {
	p := newPlant(t)
	p.staff()
	s := p.enrol(press)
	for field, spoil := range map[string]func(*taplinev1.OpenSessionRequest){
		"session": func(r *taplinev1.OpenSessionRequest) { r.Session = "1" },
		"badge":   func(r *taplinev1.OpenSessionRequest) { r.Badge = nil },
		"reader":  func(r *taplinev1.OpenSessionRequest) { r.Reader = string(make([]byte, 5000)) },
		"mode":    func(r *taplinev1.OpenSessionRequest) { r.Mode = 99 },
	} {
		req := tap(anna())
		spoil(req)
		_, err := s.client.OpenSession(t.Context(), req)
		refused(t, err, wire.Invalid, field)
	}
}
