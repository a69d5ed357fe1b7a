package session_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/alarm"
	"tapline/broker/store"
	"tapline/proto/record"
	"tapline/proto/wire"
)

func TestATapThatComesAgain(t *testing.T) {
	p := newPlant(t)
	req, no := tap(annas), tap(nobodys)
	first, refused := p.allowed(press, req), p.refused(press, no, "UNKNOWN_BADGE")
	p.at = p.at.Add(time.Minute)
	again, refusedAgain := p.open(press, req), p.open(press, no)
	for _, pair := range [][2]*taplinev1.OpenSessionResponse{{first, again}, {refused, refusedAgain}} {
		if d := cmp.Diff(pair[0], pair[1], protocmp.Transform(), protocmp.IgnoreFields(pair[0], "broker_time")); d != "" {
			t.Errorf("the second answer is another one\n%s", d)
		}
		if !pair[1].GetBrokerTime().AsTime().Equal(p.at) {
			t.Errorf("the broker's time is %s, it is %s", pair[1].GetBrokerTime().AsTime(), p.at)
		}
	}
	if n := p.held(); n != 1 {
		t.Errorf("%d leases, want 1", n)
	}
}

func TestTheSameTapOnManyConnectionsAtOnceIsOneLease(t *testing.T) {
	p := newPlant(t)
	req := tap(annas)
	fences := make([]uint64, 16)
	var g errgroup.Group
	for i := range fences {
		g.Go(func() error {
			r, err := p.Open(t.Context(), press, req)
			fences[i] = r.GetLease().GetFence()
			return err
		})
	}
	p.must(g.Wait())
	for _, f := range fences {
		if f != 1 {
			t.Errorf("the fences are %v, want 1 for all", fences)
			break
		}
	}
}

func TestASessionsIDIsUsedForOneTap(t *testing.T) {
	p := newPlant(t)
	req := tap(annas)
	p.allowed(press, req)
	for says, other := range map[string]*taplinev1.OpenSessionRequest{
		"another badge":         with(req, func(r *taplinev1.OpenSessionRequest) { r.Badge = proofOf(bens) }),
		"a badge read better":   with(req, func(r *taplinev1.OpenSessionRequest) { r.Badge.Assurance = 4 }),
		"another reader":        with(req, func(r *taplinev1.OpenSessionRequest) { r.Reader = "Reader B" }),
		"another account":       with(req, func(r *taplinev1.OpenSessionRequest) { r.Account = "x" }),
		"a PIN":                 with(req, func(r *taplinev1.OpenSessionRequest) { r.Pin = "1234" }),
		"somebody who approves": with(req, func(r *taplinev1.OpenSessionRequest) { r.Approver = proofOf(bens) }),
		"another time":          with(req, func(r *taplinev1.OpenSessionRequest) { r.TappedAt = timestamppb.New(p.at) }),
	} {
		_, err := p.Open(t.Context(), press, other)
		if wire.KindOf(err) != wire.Exists || !strings.Contains(err.Error(), "used once") {
			t.Errorf("%s: got %v", says, err)
		}
	}
	_, err := p.Open(t.Context(), packing, req)
	p.fails(err, wire.Exists)
	if n := p.held(); n != 1 {
		t.Errorf("%d leases, want 1", n)
	}
}

func TestATapIsNotAnsweredAgainOnceItsSessionIsOver(t *testing.T) {
	p := newPlant(t)
	req := tap(annas)
	l := p.allowed(press, req).GetLease()
	_, err := p.Close(t.Context(), press, &taplinev1.CloseSessionRequest{Session: req.GetSession(), Fence: l.GetFence(), Cause: taplinev1.EndCause_END_CAUSE_TAP_OUT})
	p.must(err)
	_, err = p.Open(t.Context(), press, req)
	p.fails(err, wire.Precondition)
	req = tap(annas)
	p.allowed(press, req)
	p.at = p.at.Add(13 * time.Hour)
	_, err = p.Open(t.Context(), press, req)
	p.fails(err, wire.Precondition)
}

func TestWhoIsRefusedAndWhy(t *testing.T) {
	for _, row := range []struct {
		says  string
		set   func(p *plant)
		req   *taplinev1.OpenSessionRequest
		cause string
		names string // the person that the answer names
	}{
		{"a badge nobody has", nil, tap(nobodys), "UNKNOWN_BADGE", ""},
		{"a badge that was lost", func(p *plant) {
			p.update(func(tx *store.Tx) error { return tx.RevokeBadge("b-p-1", "lost") })
		}, tap(annas), "BADGE_REVOKED", "p-1"},
		{"a person who is suspended", func(p *plant) {
			p.update(func(tx *store.Tx) error {
				_, err := tx.PutPerson(&taplinev1.PersonEntry{Id: "p-1", Suspended: true})
				return err
			})
		}, tap(annas), "PERSON_INACTIVE", "p-1"},
		{"an account that is held elsewhere", func(p *plant) { p.allowed(packing, tap(bens)) }, tap(annas), "LEASE_HELD", "p-1"},
		{"no certification", func(p *plant) {
			p.station(&taplinev1.Station{Id: string(press), Account: account, RequiresCertifications: []string{"press"}})
		}, tap(annas), "CERTIFICATION", "p-1"},
		{"a badge that is too easy to copy", func(p *plant) {
			p.station(&taplinev1.Station{Id: string(press), Account: account, RequiresAssurance: 3})
		}, tap(annas), "ASSURANCE", "p-1"},
		{"a rule of the plant", func(p *plant) {
			p.rules(`@id("nights") @refusal("shift") forbid (principal, action, resource) when { context.minuteOfDay < 480 };`)
		}, tap(annas), "SHIFT", "p-1"},
		{"no PIN where one is needed", func(p *plant) { p.rules(needsPIN) }, tap(annas), "PIN_NEEDED", "p-1"},
		{"a PIN of somebody who has none", nil, withPIN(tap(annas), "1234"), "PIN_WRONG", "p-1"},
		{"no second person where one is needed", func(p *plant) { p.rules(needsTwo) }, tap(annas), "APPROVAL_NEEDED", "p-1"},
		{"the same person twice", func(p *plant) { p.rules(needsTwo) }, with(tap(annas), func(r *taplinev1.OpenSessionRequest) {
			r.Approver = proofOf(annas)
		}), "APPROVAL_NEEDED", "p-1"},
		{"a second person nobody knows", func(p *plant) { p.rules(needsTwo) }, with(tap(annas), func(r *taplinev1.OpenSessionRequest) {
			r.Approver = proofOf(nobodys)
		}), "APPROVAL_NEEDED", "p-1"},
	} {
		t.Run(row.says, func(t *testing.T) {
			p := newPlant(t)
			if row.set != nil {
				row.set(p)
			}
			before := p.held()
			r := p.refused(press, row.req, row.cause)
			if r.GetPerson().GetId() != row.names {
				t.Errorf("the answer names %q, want %q", r.GetPerson().GetId(), row.names)
			}
			if n := p.held(); n != before {
				t.Errorf("%d leases, %d before", n, before)
			}
			p.must(p.Store.View(t.Context(), func(tx *store.Tx) error {
				kept, err := tx.Refusal(r.GetDecision().GetHelpCode())
				if kept.Station != press || string(kept.Person) != row.names || kept.Decision.GetRefusal() != r.GetDecision().GetRefusal() {
					t.Errorf("the help desk is told %+v", kept)
				}
				if strings.Contains(string(kept.Number), string(row.req.GetBadge().GetNumber())) {
					t.Error("the number is kept in clear")
				}
				return err
			}))
		})
	}
}

const (
	needsPIN  = `@id("always-pin") @refusal("pin-needed") forbid (principal, action == Action::"openSession", resource) unless { context.pin };`
	needsLead = `@id("lead") @refusal("approval-needed") forbid (principal, action == Action::"openSession", resource)
		unless { context has approver && context.approver in Role::"shift-lead" };`
	needsTwo = `@id("two") @refusal("approval-needed") forbid (principal, action == Action::"openSession", resource) unless { context.approved };`
)

func TestASecondPersonApproves(t *testing.T) {
	p := newPlant(t)
	p.rules(needsTwo)
	r := p.allowed(press, with(tap(annas), func(r *taplinev1.OpenSessionRequest) { r.Approver = proofOf(bens) }))
	if r.GetApprover().GetId() != "p-2" {
		t.Errorf("approved by %v", r.GetApprover())
	}
	if len(r.GetFactors()) != 2 || r.GetFactors()[1] != taplinev1.Factor_FACTOR_SECOND_PERSON {
		t.Errorf("the factors are %v", r.GetFactors())
	}
	if r.GetPerson().GetId() != "p-1" {
		t.Errorf("the session is %s's", r.GetPerson().GetId())
	}
}

func TestTheOneWhoApprovesHasTheRoleForIt(t *testing.T) {
	p := newPlant(t)
	p.rules(needsLead)
	by := func(badge string) func(*taplinev1.OpenSessionRequest) {
		return func(r *taplinev1.OpenSessionRequest) { r.Approver = proofOf(badge) }
	}
	req := with(tap(annas), by(bens)) // Ben is a shift lead
	l := p.allowed(press, req).GetLease()
	p.refused(packing, with(tap(bens), by(annas)), "APPROVAL_NEEDED")
	r, err := p.Extend(t.Context(), press, &taplinev1.ExtendSessionRequest{Session: req.GetSession(), Fence: l.GetFence()})
	if err != nil || !r.GetDecision().GetAllowed() {
		t.Errorf("the session is not extended: %v, %v", r, err)
	}
}

func TestAPolicyThatErrsRefusesAndIsAnAlarm(t *testing.T) {
	p := newPlant(t)
	// It validates, and runs over at evaluation: the number is added to itself beyond what a Long holds.
	p.rules(`@id("broken") forbid (principal, action, resource) when { context.assurance + 9223372036854775807 > 0 };`)
	r := p.open(press, tap(annas))
	if r.GetDecision().GetAllowed() || r.GetLease() != nil {
		t.Errorf("a rule that errs was skipped: %v", r)
	}
	p.must(p.Store.View(t.Context(), func(tx *store.Tx) error {
		all, err := tx.Alarms(true, store.Page{Size: 10})
		if len(all) != 1 || all[0].Kind != string(alarm.PolicyError) {
			t.Errorf("alarms are %+v", all)
		}
		return err
	}))
}

func TestAStationThatIsNotInOrderGetsNoAnswer(t *testing.T) {
	for _, state := range []taplinev1.StationState{
		taplinev1.StationState_STATION_STATE_QUARANTINED, taplinev1.StationState_STATION_STATE_REVOKED, taplinev1.StationState_STATION_STATE_UNSPECIFIED,
	} {
		p := newPlant(t)
		p.update(func(tx *store.Tx) error { return tx.SetStationState(press, state, "clone") })
		_, err := p.Open(t.Context(), press, tap(annas))
		p.fails(err, wire.Precondition)
		if n := p.held(); n != 0 {
			t.Errorf("%s: %d leases", state, n)
		}
	}
}

func TestALeaseEndsWithTheShift(t *testing.T) {
	p := newPlant(t)
	end := p.at.Add(2 * time.Hour)
	p.station(&taplinev1.Station{Id: string(press), Account: account, Terms: &taplinev1.SessionTerms{EndsAt: timestamppb.New(end)}})
	req := tap(annas)
	l := p.allowed(press, req).GetLease()
	if !l.GetExpiresAt().AsTime().Equal(end) {
		t.Errorf("the lease ends %s, the shift %s", l.GetExpiresAt().AsTime(), end)
	}
	p.at = p.at.Add(time.Hour)
	r, err := p.Extend(t.Context(), press, &taplinev1.ExtendSessionRequest{Session: req.GetSession(), Fence: l.GetFence()})
	p.must(err)
	if !r.GetLease().GetExpiresAt().AsTime().Equal(end) {
		t.Errorf("extended, the lease ends %s, the shift %s", r.GetLease().GetExpiresAt().AsTime(), end)
	}
}

func TestRequestsThatMakeNoSense(t *testing.T) {
	p := newPlant(t)
	long := strings.Repeat("x", 300)
	for names, change := range map[string]func(*taplinev1.OpenSessionRequest){
		"session":      func(r *taplinev1.OpenSessionRequest) { r.Session = strings.ToUpper(r.GetSession()) },
		"badge.number": func(r *taplinev1.OpenSessionRequest) { r.Badge.Number = []byte("1234") },
		"approver":     func(r *taplinev1.OpenSessionRequest) { r.Approver = &taplinev1.BadgeProof{} },
		"mode":         func(r *taplinev1.OpenSessionRequest) { r.Mode = -1 },
		"reader":       func(r *taplinev1.OpenSessionRequest) { r.Reader = long },
		"account":      func(r *taplinev1.OpenSessionRequest) { r.Account = long },
		"pin":          func(r *taplinev1.OpenSessionRequest) { r.Pin = long },
		"from_session": func(r *taplinev1.OpenSessionRequest) { r.FromSession = long },
		"tapped_at":    func(r *taplinev1.OpenSessionRequest) { r.TappedAt = &timestamppb.Timestamp{Nanos: -1} },
	} {
		_, err := p.Open(t.Context(), press, with(tap(annas), change))
		if wire.KindOf(err) != wire.Invalid || !strings.Contains(err.Error(), names) {
			t.Errorf("%s: got %v", names, err)
		}
	}
	_, err := p.Open(t.Context(), press, with(tap(annas), func(r *taplinev1.OpenSessionRequest) { r.Account = "unheard-of" }))
	p.fails(err, wire.Invalid)
}

func TestExtendAndCloseNeedTheLeasesFence(t *testing.T) {
	p := newPlant(t)
	req := tap(annas)
	fence := p.allowed(press, req).GetLease().GetFence()
	extend := func(at record.StationID, session string, fence uint64) error {
		_, err := p.Extend(t.Context(), at, &taplinev1.ExtendSessionRequest{Session: session, Fence: fence})
		return err
	}
	end := func(at record.StationID, session string, fence uint64, cause taplinev1.EndCause) error {
		_, err := p.Close(t.Context(), at, &taplinev1.CloseSessionRequest{Session: session, Fence: fence, Cause: cause})
		return err
	}
	const out = taplinev1.EndCause_END_CAUSE_TAP_OUT
	id, other := req.GetSession(), tap(annas).GetSession()
	for says, row := range map[string]struct {
		err  error
		kind wire.Kind
	}{
		"extend with an older fence":       {extend(press, id, fence-1), wire.Stale},
		"extend with a fence to come":      {extend(press, id, fence+1), wire.Stale},
		"extend from another station":      {extend(packing, id, fence), wire.Stale},
		"extend what nobody opened":        {extend(press, other, 1), wire.NotFound},
		"extend no session":                {extend(press, "1", 1), wire.Invalid},
		"close with an older fence":        {end(press, id, fence-1, out), wire.Stale},
		"close from another station":       {end(packing, id, fence, out), wire.Stale},
		"close for no cause":               {end(press, id, fence, 0), wire.Invalid},
		"close for a cause that is none":   {end(press, id, fence, 99), wire.Invalid},
		"close what was decided offline":   {end(press, other, 1, out), wire.None},
		"extend rightly":                   {extend(press, id, fence), wire.None},
		"close rightly and once more":      {end(press, id, fence, out), wire.None},
		"close again: the answer was lost": {end(press, id, fence, out), wire.None},
	} {
		if wire.KindOf(row.err) != row.kind {
			t.Errorf("%s: got %v, want %s", says, row.err, row.kind)
		}
	}
	if n := p.held(); n != 0 {
		t.Errorf("%d leases are left", n)
	}
}

func TestWhoIsNotExtended(t *testing.T) {
	for says, set := range map[string]func(p *plant){
		"a person who was suspended": func(p *plant) {
			p.update(func(tx *store.Tx) error {
				_, err := tx.PutPerson(&taplinev1.PersonEntry{Id: "p-1", Suspended: true})
				return err
			})
		},
		"a person who is gone": func(p *plant) { p.update(func(tx *store.Tx) error { return tx.DeletePerson("p-1") }) },
		"a station in quarantine": func(p *plant) {
			p.update(func(tx *store.Tx) error {
				return tx.SetStationState(press, taplinev1.StationState_STATION_STATE_QUARANTINED, "clone")
			})
		},
		"somebody whose lease was ended": func(p *plant) { p.endAll() },
		"somebody who lost the permission": func(p *plant) {
			p.rules(`@id("no-more") forbid (principal, action == Action::"extendSession", resource);`)
		},
	} {
		p := newPlant(t)
		req := tap(annas)
		fence := p.allowed(press, req).GetLease().GetFence()
		set(p)
		r, err := p.Extend(t.Context(), press, &taplinev1.ExtendSessionRequest{Session: req.GetSession(), Fence: fence})
		if err != nil || r.GetDecision().GetAllowed() || r.GetDecision().GetRefusal() == 0 || r.GetLease() != nil {
			t.Errorf("%s: got %v, %v", says, r, err)
		}
	}
}

func (p *plant) endAll() {
	p.update(func(tx *store.Tx) error {
		all, err := tx.Leases("", store.Page{Size: 10})
		for _, l := range all {
			if err := tx.EndLease(l.ID, "revoked", p.at); err != nil {
				return err
			}
		}
		return err
	})
}
