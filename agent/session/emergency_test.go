package session

import (
	"fmt"
	"testing"
	"time"

	"tapline/proto/record"
)

// Press presses the emergency button of a station.
func (r *scenario) Press(station string, why record.Reason) {
	r.sessions++
	r.at(station).feed(EmergencyPressed{ID: record.SessionID(fmt.Sprintf("e%d", r.sessions)), Reason: why})
}

// Claim says at a station that somebody wants to answer for its oldest emergency.
func (r *scenario) Claim(station, note string) {
	r.t.Helper()
	list := r.at(station).state.Unclaimed()
	if len(list) == 0 {
		r.t.Fatalf("%s: no emergency waits for a claim", station)
	}
	r.at(station).feed(ClaimAsked{Emergency: list[0].ID, Note: note})
}

// Open asserts whether a station is open in an emergency, and how many emergencies wait for claims.
func (r *scenario) Open(station string, open bool, unclaimed int) {
	r.t.Helper()
	d := r.at(station)
	if got := d.presence.Emergency.ID != ""; got != open {
		r.t.Errorf("%s is open in an emergency: %v, want %v", station, got, open)
	}
	if got := len(d.state.Unclaimed()); got != unclaimed {
		r.t.Errorf("%s has %d emergencies without claims, want %d", station, got, unclaimed)
	}
}

func TestAnEmergencyOpensTheStationAndATapEndsIt(t *testing.T) {
	play(t, func(r *scenario) {
		r.Press("press-4", "alarm")
		r.Open("press-4", true, 1)
		r.Here("press-4", "")
		r.Wait(time.Minute)
		r.Press("press-4", "alarm") // again, harder
		r.Press("press-4", "injury")
		r.Wait(5 * time.Minute)
		r.As("anna").Tap("press-4")
		r.Open("press-4", false, 1)
		r.Here("press-4", "anna")
		r.Story("press-4", "emergency.opened: alarm", "opened anna", "closed: tap-in")
	})
}

func TestAnEmergencyEndsTheSessionThatWasThere(t *testing.T) {
	play(t, func(r *scenario) {
		r.As("anna").Tap("press-4")
		r.Wait(time.Hour)
		r.Press("press-4", "injury")
		r.Here("press-4", "")
		r.Open("press-4", true, 1)
		r.Wait(time.Minute)
		r.As("anna").Tap("press-4")
		r.Here("press-4", "anna")
		r.Story("press-4", "opened anna", "emergency.opened: injury", "closed anna: emergency", "opened anna", "closed: tap-in")
	})
}

func TestAStrangersBadgeDoesNotEndAnEmergency(t *testing.T) {
	play(t, func(r *scenario) {
		r.strange = []string{"mallory"}
		r.Press("press-4", "alarm")
		r.As("mallory").Tap("press-4")
		r.Open("press-4", true, 1)
		r.Story("press-4", "emergency.opened: alarm", "tap.refused mallory: unknown-badge")
	})
}

func TestATapBeforeTheEmergencyDoesNotEndIt(t *testing.T) {
	play(t, func(r *scenario) {
		r.slow = 400 * time.Millisecond
		r.As("anna").Tap("press-4")
		r.Wait(100 * time.Millisecond)
		r.Press("press-4", "alarm")
		r.Wait(time.Minute)
		r.Open("press-4", true, 1)
		r.Story("press-4", "emergency.opened: alarm", "tap.refused anna: overtaken")
	})
}

func TestAnEmergencyIsEndedOnThePanel(t *testing.T) {
	play(t, func(r *scenario) {
		r.Press("press-4", "jam")
		r.Wait(time.Minute)
		r.at("press-4").feed(EndAsked{"another"}) // a late click on the one before
		r.Open("press-4", true, 1)
		r.at("press-4").feed(EndAsked{r.at("press-4").state.Emergency().ID})
		r.Open("press-4", false, 1)
		r.Story("press-4", "emergency.opened: jam", "closed: ended-here")
	})
}

func TestAnEmergencyThatNobodyEndsEndsByItself(t *testing.T) {
	play(t, func(r *scenario) {
		r.Press("press-4", "jam")
		r.Wait(5 * time.Hour)
		r.Open("press-4", false, 1)
		r.Press("press-4", "jam")
		r.Open("press-4", true, 2)
		r.Story("press-4", "emergency.opened: jam", "closed: expired", "emergency.opened: jam")
	})
}

func TestTwoPeopleAnswerForAnEmergency(t *testing.T) {
	play(t, func(r *scenario) {
		r.Press("press-4", "jam")
		r.As("anna").Tap("press-4")
		r.Wait(time.Hour)

		r.Claim("press-4", "jam at the infeed")
		r.Says("press-4", ClaimTap)
		r.As("anna").Tap("press-4")
		r.Says("press-4", ClaimTap)
		r.Wait(5 * time.Second)
		r.As("anna").Tap("press-4") // once is enough for Anna
		r.Says("press-4", ClaimTap)
		r.Open("press-4", false, 1)
		r.Wait(5 * time.Second)
		r.As("cleo").Tap("press-4")
		r.Says("press-4", Claimed)
		r.Open("press-4", false, 0)
		r.Here("press-4", "anna") // Cleo answered, and did not take over
		r.Wait(time.Hour)
		r.As("cleo").Tap("press-4") // now she does
		r.Here("press-4", "cleo")
		r.Story("press-4", "emergency.opened: jam", "opened anna", "closed: tap-in",
			"emergency.claimed anna", "emergency.claimed cleo", "handed-over from anna to cleo")
	})
}

func TestAClaimDoesNotEndTheEmergency(t *testing.T) {
	play(t, func(r *scenario) {
		r.Press("press-4", "jam")
		r.Claim("press-4", "")
		r.As("anna").Tap("press-4")
		r.Wait(time.Second)
		r.As("ben").Tap("press-4")
		r.Open("press-4", true, 0)
		r.Wait(time.Minute)
		r.As("ben").Tap("press-4")
		r.Open("press-4", false, 0)
		r.Story("press-4", "emergency.opened: jam", "emergency.claimed anna", "emergency.claimed ben", "opened ben", "closed: tap-in")
	})
}

func TestWhoeverDoesNotTapInTimeClaimsNothing(t *testing.T) {
	play(t, func(r *scenario) {
		r.strange = []string{"mallory"}
		r.Press("press-4", "jam")
		r.Claim("press-4", "")
		r.As("mallory").Tap("press-4")
		r.Wait(2 * time.Minute)
		r.As("anna").Tap("press-4")
		r.Open("press-4", false, 1)
		r.Story("press-4", "emergency.opened: jam", "tap.refused mallory: unknown-badge", "opened anna", "closed: tap-in")
	})
}

func TestAnEmergencyThatNobodyAnswersForIsToldOnce(t *testing.T) {
	play(t, func(r *scenario) {
		r.Press("press-4", "jam")
		r.As("anna").Tap("press-4")
		r.Wait(7 * time.Hour)
		r.Says("press-4", "")
		r.Wait(61 * time.Minute)
		r.Says("press-4", Unanswered)
		if e := r.at("press-4").state.Unclaimed(); len(e) != 1 || !e[0].Overdue || e[0].Missing != ClaimsNeeded {
			t.Errorf("unclaimed: %+v", e)
		}
		r.Claim("press-4", "late") // better late than never
		r.As("anna").Tap("press-4")
		r.Wait(time.Second)
		r.As("ben").Tap("press-4")
		r.Open("press-4", false, 0)
	})
}

func TestAnEmergencyOutlivesTheAgent(t *testing.T) {
	play(t, func(r *scenario) {
		d := r.at("press-4")
		r.Press("press-4", "jam")
		r.Claim("press-4", "")
		r.As("anna").Tap("press-4")
		d.feed(Shutdown{})
		d.state = State{} // the next run
		d.feed(EmergencyFound{Opened: record.Payload{Session: "e1", Reason: "jam"}, Ago: time.Hour, InForce: true, Claims: []record.PersonID{"anna"}})
		r.Open("press-4", true, 1)
		r.Press("press-4", "jam") // the same emergency still
		r.Claim("press-4", "")
		r.As("anna").Tap("press-4") // the same Anna still
		r.Wait(time.Second)
		r.Open("press-4", true, 1)
		r.As("ben").Tap("press-4")
		r.Open("press-4", true, 0)
		r.Wait(3*time.Hour + time.Minute)
		r.Open("press-4", false, 0)
		r.Story("press-4", "emergency.opened: jam", "emergency.claimed anna", "emergency.claimed ben", "closed: expired")
	})
}

func TestTheStationIsOpenBeforeAnythingIsWritten(t *testing.T) {
	_, effects := DefaultRules().Step(State{}, EmergencyPressed{ID: "e1", Reason: "alarm"}, time.Unix(1e9, 0))
	if show, ok := effects[0].(Show); !ok || show.Presence.Emergency.ID != "e1" {
		t.Errorf("the first thing that is done is %#v", effects[0])
	}
}

// One tap means one thing: somebody who answers for an emergency has not approved of a session by it, and the other way round.
func TestATapForAnEmergencyIsNoApproval(t *testing.T) {
	play(t, func(r *scenario) {
		r.second["anna"], r.leads = "approval-needed", []string{"lea"}
		r.Press("press-4", "alarm")
		r.As("ben").Tap("press-4")
		r.As("anna").Tap("press-4")
		r.Says("press-4", SecondNeeded)
		r.Claim("press-4", "")
		r.As("lea").Tap("press-4")
		r.Here("press-4", "ben")
		r.Story("press-4", "emergency.opened: alarm", "opened ben", "closed: tap-in", "tap.refused anna: overtaken", "emergency.claimed lea")
	})
	play(t, func(r *scenario) { // the tap was on its way when the claim was asked for
		r.Press("press-4", "alarm")
		r.As("ben").Tap("press-4")
		r.second["anna"], r.leads, r.slow = "approval-needed", []string{"lea"}, time.Second
		r.As("anna").Tap("press-4")
		r.Claim("press-4", "")
		r.Wait(2 * time.Second)
		r.Says("press-4", SecondNeeded)
		r.As("lea").Tap("press-4")
		r.Wait(2 * time.Second)
		r.Here("press-4", "anna")
		r.Open("press-4", false, 1)
	})
}
