package session_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/timestamppb"

	taplinev1 "tapline/proto/tapline/v1"

	"tapline/broker/policy"
	"tapline/broker/rulebook"
	"tapline/broker/session"
	"tapline/broker/store"
	"tapline/proto/record"
)

func (p *plant) sentry() *session.Sentry {
	return &session.Sentry{Store: p.Store, Rules: p.Rules, Now: func() time.Time { return p.at }, Ended: func() {}, Log: zap.NewNop()}
}

func (p *plant) look(s *session.Sentry) int {
	p.Helper()
	n, err := s.Look(p.Context())
	p.must(err)
	return n
}

func TestSessionsThatAreNotAllowedAnyMoreEnd(t *testing.T) {
	for _, row := range []struct {
		says string
		do   func(p *plant)
		want int
	}{
		{"nothing happened", func(*plant) {}, 0},
		{"a rule was taken away that let operators in", func(p *plant) {
			p.rules(`@id("no-operators") forbid (principal in Role::"operator", action, resource);`)
		}, 1},
		{"a rule that errs ends nobody's session", func(p *plant) {
			p.rules(`@id("broken") forbid (principal, action, resource) when { context.assurance + 9223372036854775807 > 0 };`)
		}, 0},
		{"somebody was suspended", func(p *plant) { p.change("p-1", func(e *taplinev1.PersonEntry) { e.Suspended = true }) }, 1},
		{"somebody is gone", func(p *plant) {
			p.update(func(tx *store.Tx) error {
				if err := tx.DeletePerson("p-1"); err != nil {
					return err
				}
				return tx.Changed()
			})
		}, 1},
		{"the zone asks for a certification now", func(p *plant) {
			p.zone(&taplinev1.Zone{RequiresCertifications: []string{"press"}})
			p.update((*store.Tx).Changed)
		}, 1},
		{"a certification lapses by itself", func(p *plant) { p.at = p.at.Add(time.Hour) }, 1},
		{"not yet", func(p *plant) { p.at = p.at.Add(time.Hour - time.Second) }, 0},
	} {
		t.Run(row.says, func(t *testing.T) {
			p := newPlant(t)
			p.roomy()
			p.station(&taplinev1.Station{Id: string(press), Account: account, Zone: "hot", RequiresCertifications: []string{"crane"}})
			p.change("p-1", func(e *taplinev1.PersonEntry) {
				e.Certifications = []*taplinev1.Certification{{Name: "crane", NotAfter: timestamppb.New(p.at.Add(time.Hour))}}
			})
			annasTap, bensTap := tap(annas), tap(bens)
			p.allowed(press, annasTap)
			p.allowed(packing, bensTap)
			s := p.sentry()
			if n := p.look(s); n != 0 {
				t.Fatalf("%d sessions ended before anything happened", n)
			}
			row.do(p)
			if n := p.look(s); n != row.want {
				t.Errorf("%d sessions ended, want %d", n, row.want)
			}
			want := ""
			if row.want == 1 {
				want = "revoked"
			}
			if cause := p.endOf(annasTap.GetSession()); cause != want {
				t.Errorf("Anna's session: %q, want %q", cause, want)
			}
			if cause := p.endOf(bensTap.GetSession()); cause != "" {
				t.Errorf("Ben's session ended too: %s", cause)
			}
			if n := p.look(s); n != 0 {
				t.Errorf("%d sessions ended twice", n)
			}
		})
	}
}

func TestTheSentryGoesRoundOnceForManyChanges(t *testing.T) {
	p := newPlant(t)
	p.allowed(press, tap(annas))
	s := p.sentry()
	p.look(s)
	for range 20 {
		p.update((*store.Tx).Changed)
	}
	p.rules(`@id("nobody") forbid (principal, action, resource);`)
	if n := p.look(s); n != 1 {
		t.Errorf("ended %d, want 1", n)
	}
}

func TestASetThatDoesNotLoadAnyMoreDoesNotStopTheBroker(t *testing.T) {
	p := newPlant(t)
	p.rules(`@id("two") @refusal("approval-needed") forbid (principal, action == Action::"openSession", resource) unless { context.approved };`)
	put := func(text string) {
		p.update(func(tx *store.Tx) error {
			return tx.AddPolicy(&taplinev1.PolicySet{Version: policy.Version(text), Text: text}, p.at)
		})
	}
	put(`@id("old") permit (principal, action, resource) when { principal.badgeColour == "red" };`) // of a version that knew more, or less
	p.Rules = &rulebook.Book{}                                                                      // the broker starts
	p.refused(press, tap(annas), "APPROVAL_NEEDED")                                                 // the last good one decides
	s := p.sentry()
	p.look(s)
	p.look(s)
	var alarms []store.Alarm
	p.must(p.Store.View(t.Context(), func(tx *store.Tx) (err error) {
		alarms, err = tx.Alarms(true, store.Page{Size: 10})
		return err
	}))
	if len(alarms) != 1 || alarms[0].Kind != "policy-error" {
		t.Errorf("alarms %+v", alarms)
	}
}

func TestWithoutAnyGoodSetNobodyIsLetIn(t *testing.T) {
	p := newPlant(t)
	p.update(func(tx *store.Tx) error {
		for i := range 200 { // the history is long, and none of it loads
			text := `@id("old") permit (principal, action, resource) when { principal.badgeColour == "red" }; //` + string(rune('a'+i%26))
			if err := tx.AddPolicy(&taplinev1.PolicySet{Version: policy.Version(text), Text: text}, p.at); err != nil {
				return err
			}
		}
		return nil
	})
	p.Rules = &rulebook.Book{}
	p.refused(press, tap(annas), "POLICY_ERROR")
}

func TestNoTapIsDecidedByHalfOfANewSet(t *testing.T) {
	p := newPlant(t)
	p.roomy()
	first, second := `@id("one") permit (principal, action, resource);`, `@id("two") permit (principal, action, resource);`
	byVersion := map[string]string{policy.Version(policy.Default() + first): "known-people one", policy.Version(policy.Default() + second): "known-people two"}
	p.rules(first)
	var g errgroup.Group
	done := make(chan struct{})
	g.Go(func() error {
		defer close(done)
		for i := range 40 {
			set, err := policy.Load(policy.Default() + []string{second, first}[i%2])
			if err == nil {
				err = p.Store.Update(t.Context(), func(tx *store.Tx) error { return rulebook.Put(tx, set, "test", "", p.at) })
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	for _, at := range []record.StationID{press, packing} {
		g.Go(func() error {
			for {
				select {
				case <-done:
					return nil
				default:
				}
				r, err := p.Open(t.Context(), at, tap(annas))
				if err != nil {
					return err
				}
				if d := r.GetDecision(); byVersion[d.GetPolicyVersion()] != strings.Join(d.GetRules(), " ") {
					return fmt.Errorf("version %s, rules %v", d.GetPolicyVersion(), d.GetRules())
				}
			}
		})
	}
	p.must(g.Wait())
}
