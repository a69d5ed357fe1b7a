package broker

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// assign gives Anna a badge.
func (p *plant) assign(req *taplinev1.AssignBadgeRequest) *taplinev1.Badge {
	p.t.Helper()
	r, err := p.admin.AssignBadge(p.t.Context(), req)
	p.must(err)
	return r.GetBadge()
}

// opens wants a badge to open a session for somebody.
func (s *hmi) opens(badge []byte, person string) {
	s.t.Helper()
	if r := s.open(tap(badge)); !r.GetDecision().GetAllowed() || r.GetPerson().GetId() != person {
		s.t.Errorf("got %v, want a session of %s", r, person)
	}
}

func TestALostBadgeIsDeadUntilItIsFound(t *testing.T) {
	p := newPlant(t)
	p.staff()
	badge := p.hire("p-2", "Ben C.", ben())
	s := p.enrol(press)
	ended := s.listen()
	req := tap(ben())
	s.open(req)
	lost, err := p.admin.LoseBadge(t.Context(), &taplinev1.LoseBadgeRequest{Id: badge.GetId()})
	p.must(err)
	if lost.GetBadge().GetLostAt() == nil || lost.GetBadge().GetLastUsedAt() == nil {
		t.Errorf("got %v", lost)
	}
	s.endsWithin(inTime, ended, req.GetSession())
	s.refusedWith(ben(), taplinev1.RefusalCause_REFUSAL_CAUSE_BADGE_REVOKED)
	_, err = p.admin.AssignBadge(t.Context(), &taplinev1.AssignBadgeRequest{Person: "p-1", Badge: proofOf(ben())})
	refused(t, err, wire.Exists, "p-2 has it")
	_, err = p.admin.FindBadge(t.Context(), &taplinev1.FindBadgeRequest{Id: badge.GetId()})
	p.must(err)
	s.opens(ben(), "p-2")
	_, err = p.admin.FindBadge(t.Context(), &taplinev1.FindBadgeRequest{Id: badge.GetId()})
	refused(t, err, wire.Precondition, "not lost")
	_, err = p.admin.RevokeBadge(t.Context(), &taplinev1.RevokeBadgeRequest{Id: badge.GetId(), Reason: "stolen"})
	p.must(err)
	_, err = p.admin.FindBadge(t.Context(), &taplinev1.FindBadgeRequest{Id: badge.GetId()})
	refused(t, err, wire.Precondition, "stolen")
}

func TestATemporaryBadgeEndsOrIsReturnedAndGoesToTheNext(t *testing.T) {
	p := newPlant(t)
	p.staff()
	p.hire("p-2", "Ben C.", ben())
	s := p.enrol(press)
	pool := []byte("uid\x0032\x00\x04\x00\x00\x07")
	lend := func(person string, d time.Duration) (*taplinev1.AssignBadgeResponse, error) {
		return p.admin.AssignBadge(t.Context(), &taplinev1.AssignBadgeRequest{
			Person: person, Badge: proofOf(pool), Temporary: true, NotAfter: timestamppb.New(p.clock.now().Add(d)),
		})
	}
	for _, d := range []time.Duration{-time.Hour, 32 * 24 * time.Hour} {
		_, err := lend("p-1", d)
		refused(t, err, wire.Invalid, "not_after")
	}
	r, err := lend("p-1", time.Hour)
	p.must(err)
	s.opens(pool, "p-1")
	_, err = p.admin.RevokeBadge(t.Context(), &taplinev1.RevokeBadgeRequest{Id: r.GetBadge().GetId(), Reason: "returned"})
	p.must(err)
	s.refusedWith(pool, taplinev1.RefusalCause_REFUSAL_CAUSE_BADGE_REVOKED)
	_, err = lend("p-2", time.Hour)
	p.must(err)
	s.opens(pool, "p-2")
	p.clock.advance(2 * time.Hour)
	s.refusedWith(pool, taplinev1.RefusalCause_REFUSAL_CAUSE_BADGE_REVOKED)
	_, err = lend("p-1", time.Hour) // nobody gave it back, but its time is over
	p.must(err)
	s.opens(pool, "p-1")
}

func TestAReplacedBadgeDiesWithTheFirstUseOfTheNewOne(t *testing.T) {
	p := newPlant(t)
	p.staff()
	old := p.hire("p-2", "Ben C.", ben())
	s := p.enrol(press)
	next := []byte("uid\x0032\x00\x04\x00\x00\x08")
	_, err := p.admin.AssignBadge(t.Context(), &taplinev1.AssignBadgeRequest{Person: "p-1", Badge: proofOf(next), Replaces: old.GetId()})
	refused(t, err, wire.Precondition, "not one of p-1")
	p.assign(&taplinev1.AssignBadgeRequest{Person: "p-2", Badge: proofOf(next), Replaces: old.GetId()})
	s.opens(ben(), "p-2")
	s.opens(next, "p-2")
	s.refusedWith(ben(), taplinev1.RefusalCause_REFUSAL_CAUSE_BADGE_REVOKED)
	s.opens(next, "p-2")
}

func TestABadgeIsReplacedAtOnceIfThatIsAsked(t *testing.T) {
	p := newPlant(t)
	p.staff()
	old := p.hire("p-2", "Ben C.", ben())
	s := p.enrol(press)
	next := []byte("uid\x0032\x00\x04\x00\x00\x08")
	p.assign(&taplinev1.AssignBadgeRequest{Person: "p-2", Badge: proofOf(next), Replaces: old.GetId(), ReplaceAtOnce: true})
	s.refusedWith(ben(), taplinev1.RefusalCause_REFUSAL_CAUSE_BADGE_REVOKED)
	s.opens(next, "p-2")
}

func TestAReplacedBadgeDiesByItselfInTheEnd(t *testing.T) {
	p := newPlant(t)
	p.staff()
	old := p.hire("p-2", "Ben C.", ben())
	p.assign(&taplinev1.AssignBadgeRequest{Person: "p-2", Badge: proofOf([]byte("uid\x0032\x00\x04\x00\x00\x08")), Replaces: old.GetId()})
	r, err := p.admin.ListBadges(t.Context(), &taplinev1.ListBadgesRequest{Person: "p-2"})
	p.must(err)
	for _, b := range r.GetBadges() {
		if b.GetId() == old.GetId() && (b.GetNotAfter() == nil || b.GetNotAfter().AsTime().After(p.clock.now().Add(30*24*time.Hour))) {
			t.Errorf("the old badge ends %v", b.GetNotAfter())
		}
	}
}

func TestASessionEndsWithTheBadgeThatOpenedIt(t *testing.T) {
	p := newPlant(t)
	p.staff()
	s := p.enrol(press)
	pool, end := []byte("uid\x0032\x00\x04\x00\x00\x07"), p.clock.now().Add(time.Hour)
	p.assign(&taplinev1.AssignBadgeRequest{Person: "p-1", Badge: proofOf(pool), Temporary: true, NotAfter: timestamppb.New(end)})
	req := tap(pool)
	r := s.open(req)
	if !r.GetDecision().GetAllowed() || r.GetTerms().GetEndsAt().AsTime().After(end) || r.GetLease().GetExpiresAt().AsTime().After(end) {
		t.Errorf("got %v", r)
	}
	p.clock.advance(50 * time.Minute)
	longer, err := s.client.ExtendSession(t.Context(), &taplinev1.ExtendSessionRequest{Session: req.GetSession(), Fence: r.GetLease().GetFence()})
	p.must(err)
	if longer.GetLease().GetExpiresAt().AsTime().After(end) {
		t.Errorf("extended until %s, the badge ends %s", longer.GetLease().GetExpiresAt().AsTime(), end)
	}
}
