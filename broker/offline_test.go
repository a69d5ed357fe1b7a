package broker

import (
	"slices"
	"testing"

	"tapline/broker/policy"
	"tapline/broker/store"
	"tapline/proto/record"
	taplinev1 "tapline/proto/tapline/v1"
)

// alone has a station send the session that somebody began there without the broker.
func (s *hmi) alone(first record.Seq, fill func(*record.Payload)) store.Lease {
	s.t.Helper()
	id := record.SessionID(tap(anna()).GetSession())
	_, err := s.send(first, [][]byte{s.say(record.SessionOpened, func(p *record.Payload) {
		p.Session, p.Person, p.Account, p.Decision = id, "p-1", account, &record.Decision{By: "bundle", Bundle: 1}
		p.Badge = &record.Badge{Assurance: 1, Factors: []string{"badge"}}
		fill(p)
	})})
	s.must(err)
	var lease store.Lease
	s.must(s.run.store.View(s.t.Context(), func(tx *store.Tx) (err error) {
		lease, err = tx.LeaseOf(id)
		return err
	}))
	return lease
}

// TestWhatAStationKnewAloneCountsLater: a session that began offline with a PIN, or with somebody beside, is asked about again with both.
func TestWhatAStationKnewAloneCountsLater(t *testing.T) {
	p := newPlant(t)
	p.staff()
	p.hire("p-2", "Ben C.", ben())
	s := p.enrol(press)
	_, err := p.admin.PutPolicy(t.Context(), &taplinev1.PutPolicyRequest{Text: policy.Default() + `
@id("pin-throughout") @refusal("pin-needed") forbid (principal, action == Action::"extendSession", resource) unless { context.pin || context.approved };`})
	p.must(err)
	for i, row := range []struct {
		says string
		fill func(*record.Payload)
		on   bool
	}{
		{"with the badge alone", func(*record.Payload) {}, false},
		{"with a PIN", func(p *record.Payload) { p.Badge.Factors = append(p.Badge.Factors, "pin") }, true},
		{"with somebody who approved", func(p *record.Payload) {
			p.Badge.Factors = append(slices.Clone(p.Badge.Factors), "second-person")
			p.Second = &record.Second{Person: "p-2", Part: record.Approver}
		}, true},
		{"with somebody who approved and whom the record does not name", func(p *record.Payload) {
			p.Badge.Factors = append(slices.Clone(p.Badge.Factors), "second-person")
		}, true},
		{"with somebody who approved, of whom the record says what they did alone", func(p *record.Payload) {
			p.Badge.Factors = append(slices.Clone(p.Badge.Factors), "second-person")
			p.Second = &record.Second{Part: record.Approver, Badge: &record.Badge{Assurance: 1}}
		}, true},
	} {
		l := s.alone(record.Seq(i+1), row.fill)
		r, err := s.client.ExtendSession(t.Context(), &taplinev1.ExtendSessionRequest{Session: string(l.Session), Fence: uint64(l.Fence)})
		p.must(err)
		if r.GetDecision().GetAllowed() != row.on {
			t.Errorf("a session that began %s: got %v", row.says, r.GetDecision())
		}
	}
}
