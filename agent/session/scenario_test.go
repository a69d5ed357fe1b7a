package session

import (
	"testing"
	"time"

	"tapline/proto/record"
	"tapline/reader"
)

func TestAnnaHandsOverToBen(t *testing.T) {
	play(t, func(r *scenario) {
		r.As("anna").Tap("press-4")
		r.Here("press-4", "anna")
		r.Wait(2 * time.Hour)
		r.As("ben").Tap("press-4")
		r.Here("press-4", "ben")
		r.As("ben").Leave("press-4")
		r.Here("press-4", "")
		r.Story("press-4", "opened anna", "handed-over from anna to ben", "closed ben: tap-out")
	})
}

func TestTheSameBadgeShowsWhoIsThereAndAsks(t *testing.T) {
	play(t, func(r *scenario) {
		r.As("anna").Tap("press-4")
		r.Wait(time.Second)
		r.As("anna").Tap("press-4") // a bounce
		r.Says("press-4", "")
		r.Wait(time.Minute)
		r.As("anna").Tap("press-4")
		r.Says("press-4", AlreadyHere)
		r.Wait(11 * time.Second) // no answer
		r.Says("press-4", "")
		r.As("anna").Tap("press-4")
		r.Says("press-4", AlreadyHere)
		r.Here("press-4", "anna")
		r.Wait(4 * time.Second)
		r.As("anna").Tap("press-4") // yes
		r.Here("press-4", "")
		r.Story("press-4", "opened anna", "closed anna: tap-out")
	})
}

func TestABadgeThatFlickersOnTheReaderEndsNothing(t *testing.T) {
	play(t, func(r *scenario) {
		for range 200 {
			r.As("anna").Tap("press-4")
			r.Wait(1100 * time.Millisecond)
		}
		r.Story("press-4", "opened anna")
	})
}

func TestWhereTapsNeverEndASession(t *testing.T) {
	play(t, func(r *scenario) {
		r.rules.TapOut = Never
		for range 20 {
			r.As("anna").Tap("press-4")
			r.Wait(4 * time.Second)
		}
		r.Story("press-4", "opened anna")
	})
}

func TestAStrangerChangesNothing(t *testing.T) {
	play(t, func(r *scenario) {
		r.strange = []string{"mallory"}
		r.As("anna").Tap("press-4")
		r.Wait(time.Minute)
		r.As("mallory").Tap("press-4")
		r.Says("press-4", Refused)
		r.Here("press-4", "anna")
		r.Story("press-4", "opened anna", "tap.refused mallory: unknown-badge")
	})
}

func TestTheLastOfThreeQuickTapsWins(t *testing.T) {
	play(t, func(r *scenario) {
		r.slow = 400 * time.Millisecond
		r.As("anna").Tap("press-4")
		r.Wait(50 * time.Millisecond)
		r.As("ben").Tap("press-4")
		r.Wait(50 * time.Millisecond)
		r.As("cleo").Tap("press-4")
		r.Wait(2 * time.Second)
		r.Here("press-4", "cleo")
		r.Story("press-4", "tap.refused: overtaken", "opened anna", "handed-over from anna to cleo")
	})
}

func TestLeaveTheCard(t *testing.T) {
	play(t, func(r *scenario) {
		r.terms = Terms{LeaveTheCard: true, CardGrace: 5 * time.Second}
		r.As("anna").Tap("press-4")
		r.Wait(time.Hour)
		r.As("anna").Take("press-4")
		r.Wait(4 * time.Second)
		r.As("anna").Tap("press-4") // slipped and put back
		r.Wait(time.Hour)
		r.Here("press-4", "anna")
		r.As("anna").Take("press-4")
		r.Wait(6 * time.Second)
		r.Here("press-4", "")
		r.Story("press-4", "opened anna", "closed anna: card-removed")
	})
}

func TestABadgeTakenWhileItIsDecidedCounts(t *testing.T) {
	play(t, func(r *scenario) {
		r.terms = Terms{LeaveTheCard: true}
		r.slow = 300 * time.Millisecond
		r.As("anna").Tap("press-4")
		r.As("anna").Take("press-4")
		r.Wait(time.Minute)
		r.Story("press-4", "opened anna", "closed anna: card-removed")
	})
}

func TestAReaderPulledWithTheCardOnIt(t *testing.T) {
	play(t, func(r *scenario) {
		r.terms = Terms{LeaveTheCard: true}
		r.As("anna").Tap("press-4")
		r.at("press-4").feed(Detached{"reader", reader.ReaderGone})
		r.Wait(20 * time.Second)
		r.at("press-4").feed(Attached{"reader"})
		r.As("anna").Tap("press-4")
		r.Wait(time.Hour)
		r.Here("press-4", "anna")
		r.at("press-4").feed(Detached{"reader", reader.ReaderGone})
		r.Wait(31 * time.Second)
		r.Here("press-4", "")
	})
}

func TestIdleWarnsAndEnds(t *testing.T) {
	play(t, func(r *scenario) {
		r.terms = Terms{Idle: 10 * time.Minute, IdleWarning: time.Minute}
		r.As("anna").Tap("press-4")
		r.Wait(8 * time.Minute)
		r.at("press-4").feed(Input{})
		r.Wait(9*time.Minute + time.Second)
		r.Says("press-4", IdleWarning)
		r.Wait(time.Minute)
		r.Here("press-4", "")
		r.Story("press-4", "opened anna", "closed anna: idle")
	})
}

func TestAShiftEnds(t *testing.T) {
	play(t, func(r *scenario) {
		r.terms = Terms{EndsAt: time.Now().Add(8 * time.Hour)}
		r.As("anna").Tap("press-4")
		r.Wait(8*time.Hour + time.Second)
		r.Story("press-4", "opened anna", "closed anna: shift-end")
		r.terms = Terms{}
		r.As("ben").Tap("press-4")
		r.Wait(13 * time.Hour)
		r.Story("press-4", "opened anna", "closed anna: shift-end", "opened ben", "closed ben: expired")
	})
}

func TestTwoStationsKeepApart(t *testing.T) {
	play(t, func(r *scenario) {
		r.As("anna").Tap("press-4")
		r.As("anna").Tap("press-5")
		r.As("anna").Leave("press-4")
		r.Here("press-4", "")
		r.Here("press-5", "anna")
	})
}

func TestTheBrokerEndsASession(t *testing.T) {
	play(t, func(r *scenario) {
		r.As("anna").Tap("press-4")
		r.at("press-4").feed(Revoked{Session: "another", Cause: RevokedCause})
		r.Here("press-4", "anna")
		r.at("press-4").feed(Revoked{Session: "s1", Cause: "elsewhere"})
		r.Story("press-4", "opened anna", "closed anna: elsewhere")
	})
}

func TestWhatTheLastRunLeftOpenIsClosed(t *testing.T) {
	play(t, func(r *scenario) {
		r.at("press-4").feed(Found{record.Payload{Session: "old", Person: "anna"}})
		r.Here("press-4", "")
		r.Story("press-4", "closed anna: agent-died")
	})
}

func TestAnOrderlyStopClosesTheSessionAndRefusesWhatWaits(t *testing.T) {
	play(t, func(r *scenario) {
		r.As("anna").Tap("press-4")
		r.slow = time.Second
		r.Wait(time.Minute)
		r.As("ben").Tap("press-4")
		r.at("press-4").feed(Shutdown{})
		r.Wait(2 * time.Second)
		r.As("cleo").Tap("press-4")
		r.Story("press-4", "opened anna", "tap.refused: agent-stopped", "closed anna: agent-stopped")
	})
}

// lease gives a decision of the broker, with a lease of an hour.
func lease(session record.SessionID, now time.Time) Answer {
	return Answer{
		Session: session, Allowed: true, Person: Person{ID: "anna"}, Decision: record.Decision{By: "broker"},
		Lease: &Lease{ID: "l", Fence: 7, ExpiresAt: now.Add(time.Hour)},
	}
}

func TestALeaseIsKeptAsLongAsTheSessionLasts(t *testing.T) {
	rules, now := DefaultRules(), time.Unix(1e9, 0)
	begin := func() State {
		s, _ := rules.Step(State{}, Tapped{Tap{Session: "s1", Badge: Badge{Ref: "anna"}}}, now)
		s, _ = rules.Step(s, Decided{lease("s1", now)}, now)
		return s
	}
	due, ok := rules.Deadline(begin())
	if !ok || !due.Equal(now.Add(40*time.Minute)) {
		t.Fatalf("extended at %s, want two thirds into the lease", due)
	}
	for _, tt := range []struct {
		name   string
		answer Extended
		want   record.Type
		next   time.Duration // from the answer to the next attempt; 0 for none
	}{
		{"the broker extends it", Extended{Session: "s1", Reached: true, Allowed: true, ExpiresAt: due.Add(time.Hour)}, record.SessionExtended, 40 * time.Minute},
		{"the broker is away, the person stays", Extended{Session: "s1"}, "", rules.ExtendRetry},
		{"the broker refuses, the session ends", Extended{Session: "s1", Reached: true, Refusal: "policy"}, record.SessionClosed, 0},
		{"an answer about another session", Extended{Session: "s0", Reached: true}, "", rules.ExtendRetry},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, effects := rules.Step(begin(), Tick{}, due)
			if len(effects) != 1 || effects[0] != (Extend{Session: "s1", Fence: 7}) {
				t.Fatalf("effects %+v", effects)
			}
			s, effects = rules.Step(s, tt.answer, due)
			var got record.Type
			for _, e := range effects {
				if r, ok := e.(Record); ok {
					got = r.Payload.Type
				}
			}
			if got != tt.want {
				t.Errorf("record %q, want %q", got, tt.want)
			}
			next, ok := rules.Deadline(s)
			if ok != (tt.next > 0) || ok && !next.Equal(due.Add(tt.next)) {
				t.Errorf("next attempt at %s, want %s later", next, tt.next)
			}
		})
	}
}
